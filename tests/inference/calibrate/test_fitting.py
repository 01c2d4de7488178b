"""A temperature that is known is found again, and no question is measured by what it was fitted on."""

import math
import random
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forge_inference.calibrate import fitting
from forge_inference.calibrate.asking import Scored
from forge_inference.calibrate.fitting import answers, crossed, fitted
from forge_inference.science.genomics.confidence import softmax
from forge_inference.science.genomics.profiles import COOLEST, HOTTEST

LOGPROBS = st.lists(st.floats(-30, 0), min_size=2, max_size=5)
SCORED = st.lists(
    LOGPROBS.flatmap(
        lambda values: st.builds(
            Scored, st.just(tuple(values)), st.integers(0, len(values) - 1), st.just("gene_function")
        )
    ),
    min_size=1,
    max_size=30,
)


def drawn(count: int, temperature: float, seed: int, options: int = 3) -> list[Scored]:
    """Of a model that is perfectly calibrated at this temperature: right answers come as often as it says."""
    chance, found = random.Random(seed), []
    for _ in range(count):
        logprobs = tuple(chance.gauss(-4, 2) for _ in range(options))
        [right] = chance.choices(range(options), softmax(logprobs, temperature))
        found.append(Scored(logprobs, right, "gene_function"))
    return found


def nll(scored: list[Scored], temperature: float) -> float:
    found = answers(scored, [temperature] * len(scored))
    return -math.fsum(math.log(max(each.expected, 1e-300)) for each in found)


@pytest.mark.parametrize("temperature", [0.3, 1.0, 1.83, 4.0])
@pytest.mark.parametrize("options", [2, 3, 6])
def test_a_known_temperature_is_found_again(temperature: float, options: int) -> None:
    found = fitted(drawn(4000, temperature, seed=7, options=options))
    assert found.value == pytest.approx(temperature, rel=0.15)
    assert not found.at_limit


@given(SCORED)
@settings(max_examples=60)
def test_no_temperature_makes_the_expected_answers_likelier(scored: list[Scored]) -> None:
    best = nll(scored, fitted(scored).value)
    others = (COOLEST * (HOTTEST / COOLEST) ** (step / 40) for step in range(41))
    assert all(best <= nll(scored, other) + 1e-6 for other in others)


@given(SCORED, st.floats(COOLEST, HOTTEST))
@settings(max_examples=60)
def test_a_temperature_changes_how_sure_and_never_what(scored: list[Scored], temperature: float) -> None:
    plain, changed = answers(scored, [1.0] * len(scored)), answers(scored, [temperature] * len(scored))
    for question, one, other in zip(scored, plain, changed, strict=True):
        ties = sorted(question.logprobs)[-1] - sorted(question.logprobs)[-2] < 1e-6
        assert ties or one.right == other.right
        assert 0 < other.confidence <= 1


def test_likelihoods_that_say_nothing_or_all_end_at_a_limit() -> None:
    chance = random.Random(1)
    against = [Scored((0.0, -3.0), 1, "gene_function") for _ in range(60)]
    assert fitted(against) == fitting.Temperature(HOTTEST, at_limit=True)
    always = [Scored((-chance.random(), -5.0), 0, "gene_function") for _ in range(60)]
    assert fitted(always) == fitting.Temperature(COOLEST, at_limit=True)


def test_each_question_is_measured_by_a_temperature_of_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    scored = [Scored((-float(number), -1.0), number % 2, "gene_function") for number in range(53)]
    seen: list[list[Scored]] = []

    def remembered(part: list[Scored]) -> fitting.Temperature:
        seen.append(part)
        return fitting.Temperature(float(len(seen)))

    monkeypatch.setattr(fitting, "fitted", remembered)
    own, folds = crossed(scored, seed=3)
    assert folds == [1.0, 2.0, 3.0, 4.0, 5.0]
    for question, temperature in zip(scored, own, strict=True):
        assert question not in seen[round(temperature) - 1]
    assert sorted(map(len, seen)) == [42, 42, 42, 43, 43]
    again, _ = crossed(scored, seed=3)
    assert [later - 5 for later in again] == own, "the same seed parts them the same way"


def test_cross_validation_tells_little_more_than_what_would_be_measured_anew() -> None:
    scored = drawn(1500, 2.5, seed=11)
    own, folds = crossed(scored, seed=0)
    assert all(abs(one - other) / one < 0.15 for one, other in pairwise(folds))
    fresh = drawn(1500, 2.5, seed=12)
    mean = sum(folds) / len(folds)
    assert nll(fresh, mean) / 1500 == pytest.approx(
        -math.fsum(math.log(each.expected) for each in answers(scored, own)) / 1500, rel=0.1
    )
