"""A run second by second."""

import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

from forge_inference.load.records import Record, Run
from forge_inference.load.spread import percentile


@dataclass(frozen=True)
class Second:
    """Requests and tokens of one second. The percentiles are of requests that were due in it; `late` is at most."""

    second: int
    offered: int
    succeeded: int
    refused: int
    failed: int
    in_flight: int
    tokens: float
    ttft_p50: float | None
    ttft_p95: float | None
    e2e_p95: float | None
    late: float


def _weights(records: Sequence[Record]) -> Mapping[int, float]:
    """Tokens that each event with text stands for, by the request's number."""
    return {each.number: (each.tokens or len(each.pieces)) / len(each.pieces) for each in records if each.pieces}


def tokens_until(records: Sequence[Record], end: float) -> float:
    weights = _weights(records)
    return math.fsum(weights[each.number] * bisect_left(each.pieces, end) for each in records if each.pieces)


def series(run: Run) -> tuple[Second, ...]:
    last, weights = math.ceil(max(run.lasted, run.offered_for)), _weights(run.records)
    offered, ended, tokens, change = Counter[int](), Counter[tuple[str, int]](), Counter[int](), Counter[int]()
    firsts: dict[int, list[float]] = {}
    wholes: dict[int, list[float]] = {}
    for due in run.arrivals or [each.due for each in run.records]:
        offered[int(due)] += 1
    for each in run.records:
        if each.sent is not None:
            change[int(each.sent)] += 1
        if each.ended is not None:
            change[int(each.ended)] -= 1
            ended[each.outcome, int(each.ended)] += 1
        if each.whole:
            wholes.setdefault(int(each.due), []).append(each.whole_in)
            if each.first is not None:
                firsts.setdefault(int(each.due), []).append(each.first)
        for piece in each.pieces:
            tokens[int(piece)] += weights[each.number]  # type: ignore[assignment]  # a Counter adds up floats as well
    late: dict[int, float] = {}
    for due, by in run.late:
        late[int(due)] = max(by, late.get(int(due), 0.0))
    in_flight = list(accumulate(change[second] for second in range(last)))
    return tuple(
        Second(
            second=second,
            offered=offered[second],
            succeeded=ended["succeeded", second],
            refused=ended["refused", second],
            failed=ended["failed", second],
            in_flight=in_flight[second],
            tokens=round(tokens[second], 1),
            ttft_p50=percentile(sorted(firsts.get(second, ())), 50),
            ttft_p95=percentile(sorted(firsts.get(second, ())), 95),
            e2e_p95=percentile(sorted(wholes.get(second, ())), 95),
            late=late.get(second, 0.0),
        )
        for second in range(last)
    )
