"""What an autoscaler needs: pods as the operator makes them, without an operator, and the autoscaler itself."""

from typing import Any

from forge_operator.children.shape import MODEL_ANNOTATION, MODEL_UID_LABEL
from tests.support.kube import Manifest

_OURS = {"app.kubernetes.io/managed-by": "scientificllm-forge", "app.kubernetes.io/component": "inference"}


def deployment(model: str, namespace: str, uid: str) -> Manifest:
    """One pod with a model pod's labels; on kwok it is ready at once."""
    selector = {MODEL_UID_LABEL: uid}
    template = {
        "metadata": {"labels": {**_OURS, **selector}, "annotations": {MODEL_ANNOTATION: model}},
        "spec": {"containers": [{"name": "server", "image": "server"}]},
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": model, "namespace": namespace},
        "spec": {"replicas": 1, "selector": {"matchLabels": selector}, "template": template},
    }


def autoscaler(name: str, namespace: str, metric: str, target: float, **behavior: Any) -> Manifest:
    """Between 1 and 5 pods of the Deployment of this name, by a metric of its pods."""
    wanted = {"metric": {"name": metric}, "target": {"type": "AverageValue", "averageValue": str(target)}}
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
            "minReplicas": 1,
            "maxReplicas": 5,
            "metrics": [{"type": "Pods", "pods": wanted}],
            **({"behavior": behavior} if behavior else {}),
        },
    }
