"""Percentiles of the last minute: as Prometheus computes them, over restarts and gaps."""

import math
from itertools import accumulate

import pytest

from forge_operator.metrics_api.exposition import Histogram
from forge_operator.metrics_api.windows import Window, quantile

BOUNDS = (1.0, 2.0, 4.0, math.inf)


def counted(*each: float) -> Histogram:
    """So many observations within each bucket."""
    return Histogram(BOUNDS, tuple(accumulate(each)))


@pytest.mark.parametrize(
    ("share", "each", "expected"),
    [
        (0.95, (100, 0, 0, 0), 0.95),
        (0.5, (0, 10, 0, 0), 1.5),
        (0.95, (90, 0, 10, 0), 3.0),  # the 95th of 100 is the 5th of the 10 between 2 and 4
        (0.95, (0, 0, 0, 7), 4.0),  # above the last bound nothing is known
        (0.95, (95, 5, 0, 0), 1.0),
        (0.95, (0, 0, 0, 0), 0.0),
    ],
)
def test_values_lie_on_straight_lines_between_bounds(share: float, each: tuple[float, ...], expected: float) -> None:
    assert quantile(share, BOUNDS, list(accumulate(each))) == pytest.approx(expected)


def told(*said: tuple[float, Histogram]) -> tuple[float, float] | None:
    window = Window()
    for now, histogram in said:
        window.add(now, histogram)
    return window.quantile(0.95)


def test_only_what_was_added_in_the_window_counts() -> None:
    slow_once = [(0.0, counted(0, 0, 0, 50)), (10.0, counted(0, 0, 0, 50))]
    fast_since = [(float(now), counted(now, 0, 0, 50)) for now in range(20, 90, 10)]
    value, seconds = told(*slow_once, *fast_since) or (0, 0)
    assert value == pytest.approx(0.95)
    assert seconds == 60


def test_a_pod_that_answered_nobody_lately_has_no_latency_but_zero() -> None:
    assert told((0, counted(5, 5, 5, 5)), (60, counted(5, 5, 5, 5))) == (0.0, 60)


def test_after_our_own_start_nothing_is_told_before_half_a_window() -> None:
    before = [(float(now), counted(9 + now, 0, 0, 0)) for now in range(0, 30, 5)]
    assert told(*before) is None
    assert told(*before, (30.0, counted(39, 0, 0, 0))) == (pytest.approx(0.95), 30)


def test_a_pod_that_never_answered_anybody_is_known_at_once() -> None:
    assert told((1000, counted(0, 0, 0, 0))) == (0.0, 60)
    value, _ = told((1000, counted(0, 0, 0, 0)), (1005, counted(0, 4, 0, 0))) or (0, 0)
    assert value == pytest.approx(1.95)


def test_a_restart_of_the_container_loses_nothing_and_invents_nothing() -> None:
    said = [(0.0, counted(100, 0, 0, 0)), (30.0, counted(110, 0, 0, 0)), (35.0, counted(2, 0, 0, 0))]
    window = Window()
    for now, histogram in said:
        window.add(now, histogram)
    window.add(60.0, counted(2, 88, 0, 0))
    value, seconds = window.quantile(0.95) or (0, 0)
    # 10 before it, 2 after it, then 88 slower ones: the 95th of 100 is the 83rd of those 88.
    assert (value, seconds) == (pytest.approx(1 + 83 / 88), 60)


def test_what_was_seen_before_a_long_gap_says_nothing_about_now() -> None:
    assert told((0, counted(1, 0, 0, 0)), (30, counted(2, 0, 0, 0)), (300, counted(900, 0, 0, 0))) is None


def test_other_bounds_begin_anew() -> None:
    window = Window()
    window.add(0, counted(5, 0, 0, 0))
    window.add(40, counted(9, 0, 0, 0))
    assert window.quantile(0.95)
    window.add(45, Histogram((1.0, math.inf), (3.0, 3.0)))
    assert window.quantile(0.95) is None


def test_a_day_is_kept_in_a_minutes_memory() -> None:
    window = Window()
    for tick in range(17_280):
        window.add(tick * 5.0, counted(tick, 0, 0, 0))
    assert len(window._seen) <= 60 / 5 + 2
