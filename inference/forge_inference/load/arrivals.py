"""When requests come: a schedule that is made before the first of them and heeds no answer."""

import math
import random
import re
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

Process = Literal["poisson", "constant"]
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "": 1.0}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|)")
_RATE = re.compile(r"(\d+(?:\.\d+)?)(?:-(\d+(?:\.\d+)?))?")


@dataclass(frozen=True)
class Phase:
    """A rate in requests a second that goes evenly from `begin` to `end` within so many seconds."""

    begin: float
    end: float
    seconds: float

    @property
    def expected(self) -> float:
        """Requests."""
        return (self.begin + self.end) / 2 * self.seconds

    def when(self, requests: float) -> float:
        """Seconds into the phase by which so many are expected; they are at most `expected`.

        The integral of the rate, solved for time in the form that also holds for a rate that does not change.
        """
        if requests <= 0:
            return 0.0
        slope = (self.end - self.begin) / self.seconds
        return min(
            self.seconds, 2 * requests / (self.begin + math.sqrt(max(0.0, self.begin**2 + 2 * slope * requests)))
        )


def duration(text: str) -> float:
    """Seconds of `90`, `90s`, `500ms`, `2m`, `1h`. Raises ValueError."""
    found = _DURATION.fullmatch(text.strip())
    if not found or not (seconds := float(found[1]) * _UNITS[found[2]]):
        raise ValueError(f"{text!r} is no duration: write 500ms, 90s, 2m or 1h")
    return seconds


def phases(text: str, seconds: float | None) -> tuple[Phase, ...]:
    """Of `5`, `2:60s,10:120s` (steps) or `2-10:60s` (a ramp). One rate without a time lasts `seconds`, else a minute.

    Raises
    ------
    ValueError
        The text is none of these, asks for nothing, or `seconds` are given for phases that have theirs.
    """
    parts = text.split(",")
    found = []
    for part in parts:
        rate, _, time = part.strip().partition(":")
        match = _RATE.fullmatch(rate)
        if not match:
            raise ValueError(f"{part.strip()!r} is no rate: write 5, 2:60s,10:120s for steps, or 2-10:60s for a ramp")
        if not time and len(parts) > 1:
            raise ValueError(f"{part.strip()!r} says no duration: with several rates each needs its own, as in 2:60s")
        if time and seconds is not None:
            raise ValueError(f"{part.strip()!r} has its duration already: leave --duration out")
        lasts = duration(time) if time else seconds or 60.0
        found.append(Phase(float(match[1]), float(match[2] or match[1]), lasts))
    if not sum(phase.expected for phase in found):
        raise ValueError(f"{text!r} never asks anything: one rate must be above 0")
    return tuple(found)


def schedule(phases: Sequence[Phase], process: Process, seed: int) -> "array[float]":
    """Seconds from the start, in order.

    Constant: one request each time that one more is expected, the first at once. Poisson: independent users, with gaps
    drawn from the seed; the rate's integral turns gaps of mean 1 into gaps that follow the rate.
    """
    gaps = _ones() if process == "constant" else _exponential(seed)
    times, due, before, began = array("d"), next(gaps), 0.0, 0.0
    for phase in phases:
        while due < before + phase.expected:
            times.append(began + phase.when(due - before))
            due += next(gaps)
        before += phase.expected
        began += phase.seconds
    return times


def _ones() -> Iterator[float]:
    yield 0.0
    while True:
        yield 1.0


def _exponential(seed: int) -> Iterator[float]:
    source = random.Random(seed)  # noqa: S311 - a schedule that can be had again, no secret
    while True:
        yield source.expovariate(1.0)
