"""A pod's `/metrics`, as far as autoscaling needs it: some forty of its lines.

prometheus_client's parser makes objects of every line, ten times the work.
"""

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

WAITING, RUNNING = "forge_requests_waiting", "forge_requests_running"
UTILIZATION = "forge_gpu_utilization_percent"
MEMORY_USED, MEMORY_TOTAL = "forge_gpu_memory_used_bytes", "forge_gpu_memory_total_bytes"
GENERATION, FIRST_TOKEN = "forge_generation_seconds", "forge_time_to_first_token_seconds"
_GAUGES, _HISTOGRAMS = (WAITING, RUNNING, UTILIZATION, MEMORY_USED, MEMORY_TOTAL), (GENERATION, FIRST_TOKEN)

_GAUGE = re.compile(rf"^({'|'.join(_GAUGES)})(?:\{{[^}}\n]*\}})?[ \t]+(\S+)", re.MULTILINE)
_BUCKET = re.compile(rf'^({"|".join(_HISTOGRAMS)})_bucket\{{le="([^"\n]+)"\}}[ \t]+(\S+)', re.MULTILINE)
_LARGEST = 1e12  # no queue, latency or percentage is above it


@dataclass(frozen=True, slots=True)
class Histogram:
    """Upper bounds, the last of them infinity, and how many observations were at most that."""

    bounds: tuple[float, ...]
    counts: tuple[float, ...]

    @property
    def usable(self) -> bool:
        """Whether a quantile can be told from it."""
        return (
            len(self.bounds) > 1
            and self.bounds[-1] == math.inf
            and all(lower < upper for lower, upper in pairwise(self.bounds))
            and all(map(_sane, self.counts))
            and list(self.counts) == sorted(self.counts)
        )


@dataclass(frozen=True, slots=True)
class Reading:
    """What one pod said; a number that cannot be read is NaN."""

    gauges: dict[str, list[float]]
    histograms: dict[str, Histogram]


def read(text: str) -> Reading:
    """Never raises: what is not there is not told."""
    gauges: dict[str, list[float]] = {}
    for name, value in _GAUGE.findall(text):
        gauges.setdefault(name, []).append(_number(value))
    buckets: dict[str, list[tuple[float, float]]] = {}
    for name, bound, count in _BUCKET.findall(text):
        buckets.setdefault(name, []).append((_number(bound), _number(count)))
    histograms = {}
    for name, pairs in buckets.items():
        bounds, counts = zip(*sorted(pairs), strict=True)
        histograms[name] = Histogram(bounds, counts)
    return Reading(gauges, histograms)


def momentary(reading: Reading) -> dict[str, float]:
    """What can be told from one reading, by the name of the custom metric. What makes no sense is left out."""
    gauges = reading.gauges
    waiting, running = _total(gauges.get(WAITING)), _total(gauges.get(RUNNING))
    utilization, gpus = _total(gauges.get(UTILIZATION)), len(gauges.get(UTILIZATION, ()))
    used, total = _total(gauges.get(MEMORY_USED)), _total(gauges.get(MEMORY_TOTAL))
    found = {
        "forge_queue_depth": waiting,
        "forge_in_flight": None if waiting is None or running is None else waiting + running,
        "forge_gpu_utilization_percent": None if utilization is None else utilization / gpus,
        "forge_gpu_memory_percent": 100 * used / total if used is not None and total else None,
    }
    return {name: value for name, value in found.items() if value is not None and _sane(value)}


def _total(values: Iterable[float] | None) -> float | None:
    values = list(values or ())
    # Bytes are more than any other number here, and only their share is told.
    return sum(values) if values and all(value >= 0 and math.isfinite(value) for value in values) else None


def _sane(value: float) -> bool:
    return 0 <= value <= _LARGEST  # NaN is not


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
