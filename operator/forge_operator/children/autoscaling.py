"""What scales a model's Deployment by its load: a HorizontalPodAutoscaler, or KEDA's ScaledObject."""

from typing import Any

from forge_operator.api.parse import Model
from forge_operator.api.scaling import METRICS, Autoscaling, Metric
from forge_operator.api.v1alpha1 import Manifest
from forge_operator.children import keda
from forge_operator.children.shape import child_name, metadata
from forge_operator.settings import Settings, canonical


def asked(model: Model, settings: Settings) -> Autoscaling | None:
    """What an autoscaler is to do; None where spec.replicas decides."""
    return model.spec.autoscaling if settings.autoscaling.backend != "none" else None


def most_replicas(model: Model, settings: Settings) -> int:
    """How many pods there may come to be."""
    wish = asked(model, settings)
    return wish.max_replicas if wish else model.spec.replicas


def autoscaler(model: Model, wish: Autoscaling, settings: Settings) -> Manifest:
    """By whichever means the administrator chose."""
    if settings.autoscaling.backend == "keda":
        return _scaled_object(model, wish, settings)
    return _horizontal_pod_autoscaler(model, wish)


def _horizontal_pod_autoscaler(model: Model, wish: Autoscaling) -> Manifest:
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": metadata(model),
        "spec": {
            "scaleTargetRef": _target(model),
            # From 1 to 0 and back is not its business: it cannot see a request that no pod is there to count.
            "minReplicas": max(1, wish.min_replicas),
            "maxReplicas": wish.max_replicas,
            "metrics": [_pods_metric(metric) for metric in wish.chosen(model.spec.serving.max_concurrency)],
            "behavior": _behavior(wish),
        },
    }


def _scaled_object(model: Model, wish: Autoscaling, settings: Settings) -> Manifest:
    behavior = {"behavior": _behavior(wish)}
    return {
        "apiVersion": "keda.sh/v1alpha1",
        "kind": "ScaledObject",
        "metadata": metadata(model),
        "spec": {
            "scaleTargetRef": _target(model),
            "minReplicaCount": wish.min_replicas,
            "maxReplicaCount": wish.max_replicas,
            "pollingInterval": 15,
            **keda.idling(wish),
            # No `fallback`: without one KEDA leaves the replicas alone while it cannot read a metric.
            "advanced": {"restoreToOriginalReplicaCount": False, "horizontalPodAutoscalerConfig": behavior},
            "triggers": keda.triggers(model, wish, settings.autoscaling),
        },
    }


def _target(model: Model) -> dict[str, str]:
    return {"apiVersion": "apps/v1", "kind": "Deployment", "name": child_name(model.name)}


def _pods_metric(metric: Metric) -> dict[str, Any]:
    # Which pods: those of the Deployment's selector.
    target = {"type": "AverageValue", "averageValue": canonical(f"{metric.target:.3f}")}
    return {"type": "Pods", "pods": {"metric": {"name": METRICS[metric.type].name}, "target": target}}


def _behavior(wish: Autoscaling) -> dict[str, Any]:
    return {
        "scaleUp": {
            "stabilizationWindowSeconds": wish.scale_up_delay_seconds,
            "selectPolicy": "Max",
            "policies": [_policy("Percent", 100, 15), _policy("Pods", 4, 15)],
        },
        # Half at most: what a latency or a short queue says of fewer replicas is only known once there are fewer.
        "scaleDown": {
            "stabilizationWindowSeconds": wish.scale_down_delay_seconds,
            "selectPolicy": "Max",
            "policies": [_policy("Percent", 50, 60), _policy("Pods", 1, 60)],
        },
    }


def _policy(kind: str, value: int, seconds: int) -> dict[str, Any]:
    return {"type": kind, "value": value, "periodSeconds": seconds}
