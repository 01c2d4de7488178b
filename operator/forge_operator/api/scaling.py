"""`spec.autoscaling` and `status.autoscaling`, and the one table of what a model can be scaled by.

The table is read by who makes autoscalers, by the metrics server that feeds them, and by status.
"""

from dataclasses import dataclass
from typing import Annotated, Final, Literal, Self, get_args

from pydantic import ConfigDict, Field, JsonValue, StringConstraints, model_validator

from forge_operator.api.fields import Api

MetricType = Literal["QueueDepth", "InFlight", "LatencyP95", "TimeToFirstTokenP95", "GPUUtilization", "GPUMemory"]


@dataclass(frozen=True, slots=True)
class MetricKind:
    """One thing to scale by: `name` among the custom metrics of a pod, `unit` after its value in a sentence."""

    name: str
    unit: str


METRICS: Final[dict[MetricType, MetricKind]] = {
    "QueueDepth": MetricKind("forge_queue_depth", "per replica"),
    "InFlight": MetricKind("forge_in_flight", "per replica"),
    "LatencyP95": MetricKind("forge_latency_p95_seconds", "s"),
    "TimeToFirstTokenP95": MetricKind("forge_time_to_first_token_p95_seconds", "s"),
    "GPUUtilization": MetricKind("forge_gpu_utilization_percent", "%"),
    "GPUMemory": MetricKind("forge_gpu_memory_percent", "%"),
}
PERCENT: Final = ("GPUUtilization", "GPUMemory")

MOST_REPLICAS: Final = 100
DEFAULT_IDLE_SECONDS: Final = 600
# Of what one replica answers at once. Above it prompts come faster than places get free, and begin to wait.
_DEFAULT_LOAD: Final = 0.7

_PERCENT_MESSAGE = "GPUUtilization and GPUMemory are percentages: the target must be 100 or less"
_PERCENT_RULE: dict[str, JsonValue] = {
    "rule": f"!(self.type in {list(PERCENT)}) || self.target <= 100.0",
    "message": _PERCENT_MESSAGE,
    "fieldPath": ".target",
}
_ORDER_MESSAGE = "minReplicas must not be greater than maxReplicas"
_IDLE_MESSAGE = "idleSeconds is how long a model stays up without requests: it needs minReplicas: 0"
_RULES: list[JsonValue] = [
    {"rule": "self.minReplicas <= self.maxReplicas", "message": _ORDER_MESSAGE, "fieldPath": ".minReplicas"},
    {
        "rule": "!has(self.idleSeconds) || self.minReplicas == 0",
        "message": _IDLE_MESSAGE,
        "fieldPath": ".idleSeconds",
    },
]
_BY_TYPE: dict[str, JsonValue] = {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]}


class Metric(Api):
    """One thing to scale by. Replicas are added while its mean over the ready replicas is above the target."""

    model_config = ConfigDict(json_schema_extra={"x-kubernetes-validations": [_PERCENT_RULE]})

    type: MetricType = Field(
        description="QueueDepth: prompts that wait. InFlight: prompts that wait or are answered. LatencyP95,"
        " TimeToFirstTokenP95: seconds that 95 of 100 answers of the last minute took at most. GPUUtilization,"
        " GPUMemory: percent; weak signals, since a busy GPU may have room and a server takes its memory at the start."
    )
    target: float = Field(
        ge=0.001,
        le=1_000_000,
        description="What one replica should have: prompts, seconds or percent, as the type says.",
    )

    @model_validator(mode="after")
    def _percent_ends_at_100(self) -> Self:
        if self.type in PERCENT and self.target > 100:
            raise ValueError(_PERCENT_MESSAGE)
        return self


class Autoscaling(Api):
    """How many replicas there are, by load. With several metrics, the one that asks for most replicas wins."""

    model_config = ConfigDict(json_schema_extra={"x-kubernetes-validations": _RULES})

    min_replicas: int = Field(
        default=1,
        ge=0,
        le=MOST_REPLICAS,
        description="The fewest replicas. 0: none while nobody asks; the first request then waits for a start.",
    )
    max_replicas: int = Field(ge=1, le=MOST_REPLICAS, description="The most replicas.")
    metrics: list[Metric] | None = Field(
        default=None,
        min_length=1,
        max_length=len(METRICS),
        description="What to scale by. Absent: InFlight, with 70 % of serving.maxConcurrency as the target.",
        json_schema_extra=_BY_TYPE,
    )
    scale_up_delay_seconds: int = Field(
        default=0,
        ge=0,
        le=3600,
        description="How long the load must ask for more replicas before there are more, in seconds.",
    )
    scale_down_delay_seconds: int = Field(
        default=300,
        ge=0,
        le=3600,
        description="How long the load must ask for fewer replicas before there are fewer, in seconds.",
    )
    idle_seconds: int | None = Field(
        default=None,
        ge=5,
        le=86_400,
        description="With minReplicas 0: how long the last replica stays after the last request, in seconds;"
        f" absent: {DEFAULT_IDLE_SECONDS}.",
    )

    @property
    def idle_after(self) -> int | None:
        """Seconds without a request after which no replica stays; None when one always does."""
        return (self.idle_seconds or DEFAULT_IDLE_SECONDS) if self.min_replicas == 0 else None

    def chosen(self, max_concurrency: int) -> list[Metric]:
        """What to scale by, the default included; always in the order of the table."""
        default = Metric(type="InFlight", target=max(1.0, round(_DEFAULT_LOAD * max_concurrency, 1)))
        order = list(get_args(MetricType))
        return sorted(self.metrics or [default], key=lambda metric: order.index(metric.type))

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        types = [metric.type for metric in self.metrics or []]
        faults = {
            _ORDER_MESSAGE: self.min_replicas > self.max_replicas,
            _IDLE_MESSAGE: self.idle_seconds is not None and self.min_replicas > 0,
            "metrics: each type may stand there once": len(types) > len(set(types)),
        }
        for message, applies in faults.items():
            if applies:
                raise ValueError(message)
        return self


Moment = Annotated[str, StringConstraints(max_length=32)]
_DATE_TIME: dict[str, JsonValue] = {"format": "date-time"}


class MetricStatus(Api):
    """What the autoscaler last saw of one metric."""

    type: MetricType = Field(description="Which metric, as in spec.autoscaling.metrics.")
    value: float | None = Field(
        default=None, ge=0, le=1e12, description="The mean over the ready replicas; absent: never seen."
    )
    target: float = Field(ge=0, le=1e12, description="What one replica should have.")
    last_seen: Moment | None = Field(
        default=None,
        description="When the value was seen; kept when it is not seen any more.",
        json_schema_extra=_DATE_TIME,
    )


class AutoscalingStatus(Api):
    """What the autoscaler sees and what it decided."""

    current_replicas: int = Field(ge=0, le=10_000, description="Pods that exist.")
    desired_replicas: int = Field(ge=0, le=10_000, description="Pods that the autoscaler asks for.")
    metrics: list[MetricStatus] | None = Field(
        default=None,
        max_length=len(METRICS),
        description="Each metric's last value, refreshed once a minute and with each decision.",
        json_schema_extra=_BY_TYPE,
    )
    last_decision: Annotated[str, StringConstraints(max_length=512)] | None = Field(
        default=None, description="How many replicas there were and are to be, and why."
    )
    last_decision_time: Moment | None = Field(
        default=None, description="When that was decided.", json_schema_extra=_DATE_TIME
    )
