"""What the API server and its clients read to find out what is served here."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Final

from forge_operator.api import v1alpha1
from forge_operator.metrics_api.samples import NAMES, OfModel, Pod, Sample
from forge_operator.settings import canonical

GROUP: Final = "custom.metrics.k8s.io"
VERSIONS: Final = ("v1beta2", "v1beta1")  # the first is the one to prefer; the controller manager knows both
PODS: Final = "pods"
MODELS: Final = f"{v1alpha1.PLURAL}.{v1alpha1.GROUP}"
RESOURCES: Final = (PODS, MODELS)
API_SERVICES: Final = tuple(f"{version}.{GROUP}" for version in VERSIONS)

Document = dict[str, Any]


def group() -> Document:
    """`/apis/custom.metrics.k8s.io`."""
    versions = [{"groupVersion": f"{GROUP}/{version}", "version": version} for version in VERSIONS]
    return {
        "kind": "APIGroup",
        "apiVersion": "v1",
        "name": GROUP,
        "versions": versions,
        "preferredVersion": versions[0],
    }


def groups() -> Document:
    """`/apis`."""
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": [group()]}


def resources(version: str) -> Document:
    """`/apis/custom.metrics.k8s.io/VERSION`: every metric is a subresource."""
    return {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": f"{GROUP}/{version}",
        "resources": [
            {
                "name": f"{resource}/{metric}",
                "singularName": "",
                "namespaced": True,
                "kind": "MetricValueList",
                "verbs": ["get"],
            }
            for resource in RESOURCES
            for metric in NAMES
        ],
    }


# The API server merges what its extensions describe, and logs an error for each that describes nothing. Metrics have
# no schema that a client could use.
OPENAPI_V2: Final[Document] = {"swagger": "2.0", "info": {"title": GROUP, "version": VERSIONS[0]}, "paths": {}}
OPENAPI_V3: Final[Document] = {"paths": {}}


def of_pods(version: str, metric: str, found: Iterable[tuple[Pod, Sample]]) -> Document:
    """Each pod's own sample, with its own time and window."""
    return _values(
        version,
        [
            _value(version, metric, sample.value, sample, {"kind": "Pod", "apiVersion": "v1"}, pod.namespace, pod.name)
            for pod, sample in found
        ],
    )


def of_model(version: str, metric: str, namespace: str, name: str, found: OfModel) -> Document:
    """The mean over a model's ready pods, as old as the oldest of them."""
    what = {"kind": v1alpha1.KIND, "apiVersion": v1alpha1.API_VERSION}
    return _values(version, [_value(version, metric, found.mean, found.oldest, what, namespace, name)])


def status(code: int, reason: str, message: str) -> Document:
    """How an API server says no."""
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": message,
        "reason": reason,
        "code": code,
    }


def _values(version: str, items: list[Document]) -> Document:
    return {"kind": "MetricValueList", "apiVersion": f"{GROUP}/{version}", "metadata": {}, "items": items}


def _value(
    version: str, metric: str, value: float, sample: Sample, what: Document, namespace: str, name: str
) -> Document:
    older = version == "v1beta1"
    return {
        "describedObject": {**what, "namespace": namespace, "name": name},
        **({"metricName": metric, "selector": None} if older else {"metric": {"name": metric}}),
        "timestamp": sample.at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "window" if older else "windowSeconds": sample.window,
        "value": canonical(f"{round(value * 1000)}m"),  # thousandths are the finest that autoscalers compare
    }


def age(sample: Sample) -> float:
    """Seconds since the pod said so, as a person would count them."""
    return round((datetime.now(UTC) - sample.at).total_seconds(), 1)
