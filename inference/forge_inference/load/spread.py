"""Percentiles."""

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Spread:
    """Of so many values, in seconds. None where there are none."""

    count: int
    mean: float | None
    p50: float | None
    p95: float | None
    p99: float | None
    max: float | None


def percentile(ordered: Sequence[float], share: float) -> float | None:
    """Nearest rank: the least value that so many of a hundred do not exceed. `ordered` ascends."""
    return ordered[max(0, math.ceil(len(ordered) * share / 100) - 1)] if ordered else None


def spread(values: Sequence[float]) -> Spread:
    """Of values in any order."""
    ordered = sorted(values)
    mean = math.fsum(ordered) / len(ordered) if ordered else None
    p50, p95, p99 = (percentile(ordered, share) for share in (50, 95, 99))
    return Spread(len(ordered), mean, p50, p95, p99, ordered[-1] if ordered else None)
