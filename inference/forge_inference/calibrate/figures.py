"""How far confidence and being right lie apart, with what chance alone would show."""

import math
import random
from collections.abc import Sequence
from itertools import pairwise

from forge_inference.calibrate.fitting import Answer
from forge_inference.science.genomics.profiles import Bin, Covered, Scores

_REPEATS = 1000  # of bootstraps
_Z = 1.959964  # 95 % of a normal distribution
_LEAST = 1e-300  # a likelihood whose logarithm can be told


def scores(answers: Sequence[Answer], bins: int, seed: int) -> Scores:
    """ECE: bins of as many answers each, the mean of |confidence - accuracy| weighted by their sizes.

    Its interval: percentiles of a bootstrap over questions. `ece_perfect`: the same ECE where each answer is right with
    a chance of just its confidence (parametric bootstrap). ECE is above zero by chance alone, the more so the fewer
    answers there are, and so are both.
    """
    chance = random.Random(seed)  # noqa: S311 - a simulation
    count = len(answers)
    ordered = sorted((each.confidence, each.right) for each in answers)
    confidences = [confidence for confidence, _ in ordered]
    perfect, again = [], []
    for _ in range(_REPEATS):
        perfect.append(_ece(confidences, [chance.random() < confidence for confidence in confidences], bins))
        drawn = sorted(chance.choices(ordered, k=count))
        again.append(_ece([confidence for confidence, _ in drawn], [right for _, right in drawn], bins))
    return Scores(
        nll=-math.fsum(math.log(max(each.expected, _LEAST)) for each in answers) / count,
        brier=math.fsum((each.confidence - each.right) ** 2 for each in answers) / count,
        ece=_ece(confidences, [right for _, right in ordered], bins),
        ece_interval=_middle(again),
        ece_perfect=math.fsum(perfect) / _REPEATS,
        ece_perfect_interval=_middle(perfect),
    )


def _ece(confidences: Sequence[float], right: Sequence[bool], bins: int) -> float:
    """Of confidences that ascend."""
    gaps = [abs(math.fsum(confidences[begin:end]) - sum(right[begin:end])) for begin, end in _bounds(len(right), bins)]
    return min(1.0, math.fsum(gaps) / len(right))


def _bounds(count: int, bins: int) -> list[tuple[int, int]]:
    edges = [count * number // bins for number in range(bins + 1)]
    return [(begin, end) for begin, end in pairwise(edges) if begin < end]


def _middle(values: list[float]) -> tuple[float, float]:
    """95 % of the values lie in it."""
    ordered = sorted(values)
    return ordered[round(0.025 * (len(ordered) - 1))], ordered[round(0.975 * (len(ordered) - 1))]


def reliability(answers: Sequence[Answer], bins: int) -> tuple[Bin, ...]:
    """Of bins of as many answers each: how sure, and how often right."""
    ordered = sorted(answers, key=lambda each: (each.confidence, each.right))
    found = []
    for begin, end in _bounds(len(ordered), bins):
        part = ordered[begin:end]
        right = sum(each.right for each in part)
        confidence = math.fsum(each.confidence for each in part) / len(part)
        found.append(
            Bin(
                count=len(part),
                confidence=min(1.0, confidence),
                accuracy=right / len(part),
                interval=wilson(right, len(part)),
            )
        )
    return tuple(found)


def wilson(right: int, count: int) -> tuple[float, float]:
    """The 95 % interval of a part, after Wilson 1927."""
    share, square = right / count, _Z**2
    middle = (share + square / (2 * count)) / (1 + square / count)
    half = _Z * math.sqrt(share * (1 - share) / count + square / (4 * count**2)) / (1 + square / count)
    return max(0.0, min(middle - half, share)), min(1.0, max(middle + half, share))


def covered(answers: Sequence[Answer], steps: int = 10) -> tuple[Covered, ...]:
    """How often the surest tenth is wrong, the surest two tenths, and so on."""
    surest = sorted(answers, key=lambda each: (-each.confidence, each.right))
    found = []
    for step in range(1, steps + 1):
        part = surest[: max(1, round(len(surest) * step / steps))]
        wrong = sum(not each.right for each in part)
        found.append(Covered(coverage=len(part) / len(surest), risk=wrong / len(part)))
    return tuple(found)


def auroc(answers: Sequence[Answer]) -> float | None:
    """The chance that a right answer has more confidence than a wrong one; equal ones count half."""
    right = sum(each.right for each in answers)
    wrong = len(answers) - right
    if not right or not wrong:
        return None
    ordered = sorted(answers, key=lambda each: each.confidence)
    total, place = 0.0, 0
    while place < len(ordered):
        end = place
        while end < len(ordered) and ordered[end].confidence == ordered[place].confidence:
            end += 1
        rank = (place + 1 + end) / 2  # the mean of those that are equal
        total += rank * sum(each.right for each in ordered[place:end])
        place = end
    return (total - right * (right + 1) / 2) / (right * wrong)
