"""What the engine's benchmark makes of its speeds."""

import pytest

from tests.bench_engine.report import LOCK, OURS, SERVE, Point, Table, promises

pytestmark = pytest.mark.model  # describing the machine loads torch


def test_promises_are_held_against_the_ratios_within_each_round() -> None:
    """The machine was at half its speed for a round and a half: that says nothing of who is ahead."""
    few, many = Point(32, 1), Point(32, 8)
    ours = {few: [20.0, 10.0, 10.0], many: [100.0, 50.0, 50.0]}
    serve = {few: [18.0, 9.0, 9.0], many: [80.0, 40.0, 80.0]}
    lock = {few: [20.0, 10.0, 20.0], many: [20.0, 10.0, 20.0]}
    table = Table("small", {OURS: ours, SERVE: serve, LOCK: lock})
    assert table.speed(OURS, few) == 10.0
    assert promises(table) == [
        ("ahead of transformers serve at every point: at least 1.11 times its speed", True),
        ("at least 4 times the lock with 8 at once: 5.00 times", True),
    ]
    single = Table("small", {OURS: {few: ours[few]}, SERVE: {few: serve[few]}, LOCK: {few: lock[few]}})
    assert len(promises(single)) == 1, "nothing is said of crowds that were not there"
    slower = Table("small", {OURS: ours, SERVE: {**serve, few: [22.0, 11.0, 9.0]}})
    assert promises(slower) == [
        ("ahead of transformers serve at every point: at least 0.91 times its speed", False),
    ]
