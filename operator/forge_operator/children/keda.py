"""Where KEDA reads a model's metrics: from Prometheus, or from our own metrics server.

Each value is the mean over the replicas that give one, as the custom metrics are. Whatever cannot be read is an error
to KEDA, never a zero: it then leaves the number of replicas as it is.
"""

from typing import Any

from forge_operator.api.parse import Model
from forge_operator.api.scaling import METRICS, Autoscaling, MetricType
from forge_operator.settings import Autoscaling as Administrator

# More than any value: a trigger with this threshold asks for no replica, or says of no model that it is in use.
_NEVER = "1000000000"


def idling(wish: Autoscaling) -> dict[str, int]:
    """When KEDA takes the last replica away."""
    seconds = wish.idle_after
    return {} if seconds is None else {"cooldownPeriod": seconds, "initialCooldownPeriod": seconds}


def triggers(model: Model, wish: Autoscaling, administrator: Administrator) -> list[dict[str, Any]]:
    """One for each metric in their order, which is how status finds them again; then what tells whether it is idle."""
    make = _from_prometheus if administrator.prometheus_address else _from_our_server
    found = [
        make(model, administrator, metric.type, threshold=f"{metric.target:.3f}")
        for metric in wish.chosen(model.spec.serving.max_concurrency)
    ]
    return [*found, make(model, administrator, None)] if wish.min_replicas == 0 else found


def _from_prometheus(
    model: Model, administrator: Administrator, kind: MetricType | None, threshold: str = _NEVER
) -> dict[str, Any]:
    pods = f"namespace='{model.namespace}',scientificmodel='{model.name}'"
    return {
        "type": "prometheus",
        "name": kind or "Activity",
        "metricType": "Value",
        "metadata": {
            "serverAddress": administrator.prometheus_address,
            "query": _QUERIES[kind].replace("PODS", pods),
            "threshold": threshold,
            "activationThreshold": _NEVER if kind else "0",
            "ignoreNullValues": "false",
        },
    }


def _from_our_server(
    model: Model, administrator: Administrator, kind: MetricType | None, threshold: str = _NEVER
) -> dict[str, Any]:
    name = METRICS[kind or "InFlight"].name
    return {
        "type": "metrics-api",
        "name": kind or "Activity",
        "metricType": "Value",
        "metadata": {
            "url": f"{administrator.metrics_address}/v1/models/{model.namespace}/{model.name}/{name}",
            "valueLocation": "value",
            "targetValue": threshold,
            "activationTargetValue": _NEVER if kind else "0",
        },
    }


def _mean(series: str) -> str:
    # A pod that is being loaded has nothing to do, and is no reason to take another one away.
    return f"avg({series} and on (pod) forge_model_info{{PODS,plan!=''}})"


def _p95(histogram: str) -> str:
    # Nobody asked: no quantile, and nobody waits. Too few samples for a rate over a minute: nothing, which is an error.
    quantile = f"histogram_quantile(0.95, sum by (le) (rate({histogram}_bucket{{PODS}}[1m])))"
    return f"({quantile} >= 0) or 0 * sum(rate({histogram}_count{{PODS}}[1m]))"


_WORK = "forge_requests_waiting{PODS} + forge_requests_running{PODS}"
# The last one is for a model that may have no pod: above 0 while it has something to do, or had within the last minute;
# nothing while none of its pods is loaded.
_QUERIES: dict[MetricType | None, str] = {
    "QueueDepth": _mean("forge_requests_waiting{PODS}"),
    "InFlight": _mean(f"({_WORK})"),
    "LatencyP95": _p95("forge_generation_seconds"),
    "TimeToFirstTokenP95": _p95("forge_time_to_first_token_seconds"),
    "GPUUtilization": _mean("forge_gpu_utilization_percent{PODS}"),
    "GPUMemory": "100 * sum(forge_gpu_memory_used_bytes{PODS}) / sum(forge_gpu_memory_total_bytes{PODS})",
    None: f"(sum({_WORK}) + sum(increase(forge_generation_seconds_count{{PODS}}[1m])))"
    " and count(forge_model_info{PODS,plan!=''})",
}
