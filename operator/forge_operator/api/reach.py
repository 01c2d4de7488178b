"""Targets that no replica can exceed: with one, a model would never grow, and nobody would be told why."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from pydantic import JsonValue

from forge_operator.api.scaling import Metric, MetricType


class Limits(Protocol):
    """What of `spec.serving` bounds a metric."""

    @property
    def max_concurrency(self) -> int: ...

    @property
    def max_queue(self) -> int: ...

    @property
    def request_timeout_seconds(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Ceiling:
    """What these metrics of one replica never exceed: for us, in CEL, and in words."""

    kinds: tuple[MetricType, ...]
    most: Callable[[Limits], int]
    cel: str
    words: str

    @property
    def message(self) -> str:
        return (
            f"autoscaling: a target of {' or '.join(self.kinds)} must be less than {self.words}, or it is never reached"
        )

    def rule(self) -> dict[str, JsonValue]:
        """For the spec as a whole."""
        return {
            "rule": "!has(self.autoscaling) || !has(self.autoscaling.metrics) || self.autoscaling.metrics.all(m,"
            f" !(m.type in {list(self.kinds)}) || m.target < double({self.cel}))",
            "message": self.message,
            "fieldPath": ".autoscaling.metrics",
        }


_CEILINGS: Final = (
    Ceiling(("QueueDepth",), lambda limits: limits.max_queue, "self.serving.maxQueue", "serving.maxQueue"),
    Ceiling(
        ("InFlight",),
        lambda limits: limits.max_concurrency + limits.max_queue,
        "self.serving.maxConcurrency + self.serving.maxQueue",
        "serving.maxConcurrency and serving.maxQueue together",
    ),
    Ceiling(
        ("LatencyP95", "TimeToFirstTokenP95"),
        lambda limits: limits.request_timeout_seconds,
        "self.serving.requestTimeoutSeconds",
        "serving.requestTimeoutSeconds",
    ),
)
REACH_RULES: Final[list[JsonValue]] = [ceiling.rule() for ceiling in _CEILINGS]


def check_reach(metrics: Sequence[Metric], limits: Limits) -> None:
    """Raises ValueError with the sentence that the API server would answer."""
    for ceiling in _CEILINGS:
        if any(metric.type in ceiling.kinds and metric.target >= ceiling.most(limits) for metric in metrics):
            raise ValueError(ceiling.message)
