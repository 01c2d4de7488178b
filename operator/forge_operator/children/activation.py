"""The EndpointSlice through which the activator stands in for a model that has no ready pod.

Kubernetes keeps slices of its own for the pods. Ours adds the activator's pods to the Service, at a port that belongs
to this model alone, so that the activator needs nothing of a request to know whom it is for. The slice stays for as
long as the model may be at zero, without addresses while pods serve: so a port never passes from model to model.
"""

import hashlib
from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

from forge_operator.api.parse import Model
from forge_operator.api.v1alpha1 import Manifest
from forge_operator.children.shape import FIELD_MANAGER, child_name, metadata

Family = Literal["IPv4", "IPv6"]

PORTS = range(20_000, 30_000)  # of the activator's pods; the chart's NetworkPolicy admits them
SERVICE_LABEL = "kubernetes.io/service-name"
SLICE_MANAGER = "endpointslice.kubernetes.io/managed-by"  # Kubernetes leaves slices alone that name another manager


@dataclass(frozen=True)
class StandIn:
    """Who answers in a model's place: the activator's pods at the model's port, nobody without addresses."""

    port: int
    addresses: tuple[str, ...] = ()
    family: Family = "IPv4"


def activation(model: Model, stand_in: StandIn) -> Manifest:
    """The slice."""
    shared = metadata(model)
    named = {SERVICE_LABEL: child_name(model.name), SLICE_MANAGER: FIELD_MANAGER}
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {**shared, "labels": {**shared["labels"], **named}},
        "addressType": stand_in.family,
        "endpoints": [{"addresses": [address], "conditions": {"ready": True}} for address in stand_in.addresses],
        "ports": [{"name": "http", "port": stand_in.port, "protocol": "TCP"}],
    }


def ready_addresses(live: Manifest) -> list[str]:
    """Of a slice, whoever made it: where requests are taken, an address of each pod."""
    # Absent counts as ready: that is how Kubernetes wants it read.
    ready = [each for each in live.get("endpoints") or [] if (each.get("conditions") or {}).get("ready", True)]
    return [address for each in ready for address in each["addresses"][:1]]


def free_port(uid: str, taken: Collection[int]) -> int | None:
    """A port for the model with this uid, None when all are taken. The same one again as long as it is free."""
    start = int.from_bytes(hashlib.sha256(uid.encode()).digest()[:4]) % len(PORTS)
    return next((port for port in (*PORTS[start:], *PORTS[:start]) if port not in taken), None)
