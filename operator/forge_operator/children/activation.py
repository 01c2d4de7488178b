"""The EndpointSlice through which the activator stands in for a model that has no ready pod.

Kubernetes keeps slices of its own for the pods. Ours adds the activator's pods to the Service, at a port that belongs
to this model alone, so that the activator needs nothing of a request to know whom it is for. The slice stays for as
long as the model may be at zero, without addresses while pods serve: so a port never passes from model to model.
"""

import hashlib
from collections.abc import Collection, Sequence
from typing import Literal

from forge_operator.api.parse import Model
from forge_operator.api.v1alpha1 import Manifest
from forge_operator.children.shape import FIELD_MANAGER, child_name, metadata, with_intent

Family = Literal["IPv4", "IPv6"]

PORTS = range(20_000, 30_000)  # of the activator's pods; the chart's NetworkPolicy admits them
SERVICE_LABEL = "kubernetes.io/service-name"
SLICE_MANAGER = "endpointslice.kubernetes.io/managed-by"  # Kubernetes leaves slices alone that name another manager


def activation(model: Model, port: int, addresses: Sequence[str], family: Family = "IPv4") -> Manifest:
    """The slice; without addresses nobody is sent to the activator. The family is for ever, as a Service's is."""
    shared = metadata(model)
    named = {SERVICE_LABEL: child_name(model.name), SLICE_MANAGER: FIELD_MANAGER}
    return with_intent(
        {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {**shared, "labels": {**shared["labels"], **named}},
            "addressType": family,
            "endpoints": [{"addresses": [address], "conditions": {"ready": True}} for address in addresses],
            "ports": [{"name": "http", "port": port, "protocol": "TCP"}],
        }
    )


def free_port(uid: str, taken: Collection[int]) -> int | None:
    """A port for the model with this uid, None when all are taken. The same one again as long as it is free."""
    start = int.from_bytes(hashlib.sha256(uid.encode()).digest()[:4]) % len(PORTS)
    return next((port for port in (*PORTS[start:], *PORTS[:start]) if port not in taken), None)
