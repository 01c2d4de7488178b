"""One temperature for the log-probabilities of options, and cross-validation of it.

Guo et al. 2017, "On Calibration of Modern Neural Networks": of the simple ways the one with a single parameter.
"""

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass

from forge_inference.calibrate.asking import Scored
from forge_inference.science.genomics.confidence import softmax
from forge_inference.science.genomics.profiles import COOLEST, HOTTEST

FOLDS = 5
_STEPS = 40  # of bisection: to twelve digits


@dataclass(frozen=True, slots=True)
class Temperature:
    """`at_limit`: the best one lies beyond what is looked at. Then the likelihoods say next to nothing, or all."""

    value: float
    at_limit: bool = False


@dataclass(frozen=True, slots=True)
class Answer:
    """A question's most likely option: how likely, and whether it was right. `expected` is what the right one has."""

    confidence: float
    right: bool
    expected: float


def fitted(scored: Sequence[Scored]) -> Temperature:
    """The temperature that makes the expected options likeliest: the least negative log-likelihood.

    The likelihood is concave in 1/T, so there is one best temperature, where its slope is zero.
    """
    coldest, hottest = 1 / COOLEST, 1 / HOTTEST
    if _slope(scored, hottest) <= 0:
        return Temperature(HOTTEST, at_limit=True)
    if _slope(scored, coldest) >= 0:
        return Temperature(COOLEST, at_limit=True)
    low, high = hottest, coldest
    for _ in range(_STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if _slope(scored, middle) > 0 else (low, middle)
    return Temperature(2 / (low + high))


def _slope(scored: Sequence[Scored], inverse: float) -> float:
    """Of the log-likelihood over 1/T: expected options' log-probabilities less what the model expects of them."""
    return math.fsum(
        each.logprobs[each.right]
        - math.fsum(
            part * value for part, value in zip(softmax(each.logprobs, 1 / inverse), each.logprobs, strict=True)
        )
        for each in scored
    )


def answers(scored: Sequence[Scored], temperatures: Sequence[float]) -> list[Answer]:
    """By a temperature for each."""
    found = []
    for each, temperature in zip(scored, temperatures, strict=True):
        parts = softmax(each.logprobs, temperature)
        best = max(range(len(parts)), key=parts.__getitem__)
        found.append(Answer(parts[best], best == each.right, parts[each.right]))
    return found


def crossed(scored: Sequence[Scored], seed: int) -> tuple[list[float], list[float]]:
    """For each question a temperature that was fitted on the other folds; and those temperatures."""
    order = list(range(len(scored)))
    random.Random(seed).shuffle(order)  # noqa: S311 - nobody gains by guessing it
    own, all_of_them = [0.0] * len(scored), list[float]()
    for fold in range(FOLDS):
        held = set(order[fold::FOLDS])
        temperature = fitted([each for place, each in enumerate(scored) if place not in held]).value
        all_of_them.append(temperature)
        for place in held:
            own[place] = temperature
    return own, all_of_them
