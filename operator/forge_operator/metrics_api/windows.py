"""Percentiles of the last minute, from the histograms that a pod counts up since it started."""

from bisect import bisect_left
from collections import deque
from itertools import accumulate

from forge_operator.metrics_api.exposition import Histogram

WINDOW = 60.0  # seconds
LEAST = WINDOW / 2  # a percentile of less tells of chance: after a restart nothing is told for so long
_OLDEST = WINDOW * 1.5  # what was seen before a gap says nothing about the last minute


class Window:
    """One histogram of one pod."""

    def __init__(self) -> None:
        self._bounds: tuple[float, ...] = ()
        self._raw: tuple[float, ...] = ()  # as the pod last said
        self._before: tuple[float, ...] = ()  # what the pod had counted when it last began anew
        self._seen: deque[tuple[float, tuple[float, ...]]] = deque()  # when, and counts that never fall

    def add(self, now: float, histogram: Histogram) -> None:
        """`now` is of a clock that only goes forward, in seconds."""
        counts = histogram.counts
        if histogram.bounds != self._bounds:
            self._bounds, self._before = histogram.bounds, (0.0,) * len(counts)
            self._seen.clear()
            if not counts[-1]:  # nothing since the start: nothing in the last minute
                self._seen.append((now - WINDOW, counts))
        elif any(count < last for count, last in zip(counts, self._raw, strict=True)):
            # The container began anew, and counts from 0.
            self._before = tuple(map(sum, zip(self._before, self._raw, strict=True)))
        self._raw = counts
        self._seen.append((now, tuple(map(sum, zip(self._before, counts, strict=True)))))
        while now - self._seen[0][0] > _OLDEST or (len(self._seen) > 1 and now - self._seen[1][0] >= WINDOW):
            self._seen.popleft()

    def quantile(self, share: float) -> tuple[float, float] | None:
        """The value, and over how many seconds; None while too few were seen. 0 when there was nothing to count."""
        (begin, first), (end, last) = self._seen[0], self._seen[-1]
        if end - begin < LEAST:
            return None
        increases = [after - before for after, before in zip(last, first, strict=True)]
        # Where a pod began anew unnoticed, some bucket may have grown less than the one below it.
        return quantile(share, self._bounds, list(accumulate(increases, max))), end - begin


def quantile(share: float, bounds: tuple[float, ...], counts: list[float]) -> float:
    """As Prometheus' histogram_quantile: straight lines within buckets; 0, not NaN, of nothing."""
    if not (total := counts[-1]):
        return 0.0
    rank = share * total
    index = bisect_left(counts, rank, hi=len(counts) - 1)
    if index == len(counts) - 1:
        return bounds[-2]  # above it nothing is known
    if index == 0 and bounds[0] <= 0:
        return bounds[0]
    lower, below = (bounds[index - 1], counts[index - 1]) if index else (0.0, 0.0)
    return lower + (bounds[index] - lower) * (rank - below) / (counts[index] - below)
