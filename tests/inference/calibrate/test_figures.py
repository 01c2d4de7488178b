"""Errors of calibration beside what chance alone would show, against values that can be reckoned by hand."""

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forge_inference.calibrate import figures
from forge_inference.calibrate.fitting import Answer

ANSWERS = st.lists(st.builds(Answer, st.floats(0.05, 1), st.booleans(), st.floats(0.05, 1)), min_size=2, max_size=40)


def perfect(count: int, seed: int) -> list[Answer]:
    """Each right with a chance of just its confidence."""
    chance = random.Random(seed)
    return [Answer(sure, chance.random() < sure, sure) for sure in (chance.uniform(0.34, 1) for _ in range(count))]


def test_the_error_is_what_a_pencil_says() -> None:
    answers = [Answer(0.5, True, 0.5), Answer(0.6, False, 0.3), Answer(0.8, True, 0.8), Answer(1.0, False, 0.1)]
    found = figures.scores(answers, bins=2, seed=0)
    assert found.ece == pytest.approx((abs(1.1 - 1) + abs(1.8 - 1)) / 4)
    assert found.brier == pytest.approx((0.25 + 0.36 + 0.04 + 1) / 4)
    assert found.nll == pytest.approx(-(math.log(0.5) + math.log(0.3) + math.log(0.8) + math.log(0.1)) / 4)
    [low, high] = figures.reliability(answers, bins=2)
    assert (low.count, low.confidence, low.accuracy) == (2, pytest.approx(0.55), 0.5)
    assert (high.count, high.confidence, high.accuracy) == (2, pytest.approx(0.9), 0.5)


def test_what_a_perfect_model_shows_is_what_theory_says() -> None:
    # One bin of coins: E|k/n - 1/2| is sqrt(2/pi) / (2 sqrt(n)).
    coins = [Answer(0.5, number % 2 == 0, 0.5) for number in range(400)]
    found = figures.scores(coins, bins=1, seed=5)
    assert found.ece_perfect == pytest.approx(math.sqrt(2 / math.pi) / 40, rel=0.1)
    assert found.ece_perfect_interval[1] == pytest.approx(2.24 * 0.5 / 20, rel=0.15)


@pytest.mark.parametrize(("count", "floor"), [(100, 0.107), (500, 0.049)])
def test_the_floor_sinks_as_there_are_more_questions(count: int, floor: float) -> None:
    found = figures.scores(perfect(count, seed=count), bins=10, seed=0)
    assert found.ece_perfect == pytest.approx(floor, rel=0.2)


def test_a_perfect_model_seems_perfect_and_a_boaster_does_not() -> None:
    inside = [figures.scores(perfect(200, seed), bins=10, seed=seed).is_as_perfect for seed in range(12)]
    assert sum(inside) >= 10, "one in forty lies above by chance"
    chance = random.Random(4)
    boaster = [Answer(0.9, chance.random() < 0.6, 0.9) for _ in range(200)]
    found = figures.scores(boaster, bins=10, seed=0)
    assert not found.is_as_perfect
    assert found.ece_interval[0] <= found.ece <= found.ece_interval[1] + 0.05
    assert found.ece_interval[0] > found.ece_perfect_interval[1]


def test_the_same_seed_gives_the_same_figures() -> None:
    answers = perfect(80, seed=1)
    assert figures.scores(answers, 10, seed=3) == figures.scores(answers, 10, seed=3)
    assert figures.scores(answers, 10, seed=3) != figures.scores(answers, 10, seed=4)


@pytest.mark.parametrize(
    ("right", "count", "interval"),
    [(8, 10, (0.4902, 0.9433)), (0, 20, (0.0, 0.1611)), (20, 20, (0.8389, 1.0)), (50, 100, (0.4038, 0.5962))],
)
def test_the_interval_of_a_part_is_wilsons(right: int, count: int, interval: tuple[float, float]) -> None:
    assert figures.wilson(right, count) == pytest.approx(interval, abs=1e-4)


@given(ANSWERS)
@settings(max_examples=100)
def test_auroc_is_how_often_a_right_answer_has_more_confidence(answers: list[Answer]) -> None:
    right = [each.confidence for each in answers if each.right]
    wrong = [each.confidence for each in answers if not each.right]
    found = figures.auroc(answers)
    if not right or not wrong:
        assert found is None
        return
    pairs = [(one > other) + (one == other) / 2 for one in right for other in wrong]
    assert found == pytest.approx(sum(pairs) / len(pairs))


@given(ANSWERS, st.integers(1, 50))
@settings(max_examples=100)
def test_bins_hold_every_answer_once_and_ascend(answers: list[Answer], bins: int) -> None:
    found = figures.reliability(answers, bins)
    assert sum(each.count for each in found) == len(answers)
    assert max(each.count for each in found) - min(each.count for each in found) <= 1
    confidences = [each.confidence for each in found]
    assert confidences == sorted(confidences)
    for each in found:
        assert each.interval[0] <= each.accuracy <= each.interval[1]


def test_risk_is_of_the_surest_answers_first() -> None:
    answers = [Answer(0.5 + number / 40, number >= 10, 0.5) for number in range(20)]
    found = figures.covered(answers)
    assert [(each.coverage, each.risk) for each in found][4] == (0.5, 0.0)
    assert found[-1].risk == 0.5
    assert [each.coverage for each in found] == pytest.approx([step / 10 for step in range(1, 11)])
