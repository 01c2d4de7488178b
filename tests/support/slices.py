"""EndpointSlices, as the operator and as Kubernetes make them."""

import itertools
from collections.abc import Sequence
from typing import Any

from forge_operator.children.activation import SERVICE_LABEL, SLICE_MANAGER, StandIn, activation
from tests.support.models import a_model

Manifest = dict[str, Any]
_uids = itertools.count(1)


def our_slice(port: int, addresses: Sequence[str] = ("10.0.0.9",), made: str = "", **model: Any) -> Manifest:
    """The operator's, as the API server stored it at the time `made`; `model` as of `a_model`."""
    found = activation(a_model(**model), StandIn(port, tuple(addresses)))
    made = made or "2026-11-26T12:00:00Z"
    meta = {**found["metadata"], "uid": f"slice-{next(_uids)}", "creationTimestamp": made}
    return {**found, "metadata": meta}


def pod_slice(
    *ready: tuple[str, int], service: str = "hbb-expert", namespace: str = "lab", name: str = "", waits: int = 0
) -> Manifest:
    """Kubernetes' own, with these ready pods and `waits` others; all have the port of the first."""
    ends = [{"addresses": [host], "conditions": {"ready": True}} for host, _ in ready]
    ends += [{"addresses": [f"10.9.9.{each}"], "conditions": {"ready": False}} for each in range(waits)]
    labels = {SERVICE_LABEL: service, SLICE_MANAGER: "endpointslice-controller.k8s.io"}
    return {
        "metadata": {"name": name or f"{service}-x7k2p", "namespace": namespace, "uid": "theirs", "labels": labels},
        "addressType": "IPv4",
        "endpoints": ends,
        "ports": [{"name": "http", "port": ready[0][1] if ready else 8000, "protocol": "TCP"}],
    }
