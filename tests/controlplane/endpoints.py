"""Kubernetes' part in EndpointSlices, played: no slice may hold the loopback addresses that kwok gives to pods here.

Each Service gets a slice of ours with this machine's own address, while one of its pods is ready.
"""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from forge_operator.children.activation import SERVICE_LABEL, SLICE_MANAGER
from forge_operator.children.shape import MANAGED_BY
from forge_operator.status.observed import is_ready
from tests.support.kube import Manifest, connected

_EVERY = 0.2  # seconds


def own_address() -> str:
    """Of this machine, and not of its loopback."""
    found = [
        each.address for cards in psutil.net_if_addrs().values() for each in cards if each.family == socket.AF_INET
    ]
    address = next((each for each in found if not each.startswith("127.")), None)
    if address is None:
        pytest.skip("this machine has no address but its loopback's")
    return address


@contextmanager
def played(kubeconfig: Path, namespace: str, service: str, selector: str, port: int) -> Iterator[None]:
    """Keep the slice of one Service until the end of the block."""
    stop = threading.Event()

    def keep() -> None:
        with connected(kubeconfig) as kube:
            told: bool | None = None
            while not stop.wait(_EVERY):
                if (ready := any(map(_serves, kube.list("Pod", namespace, selector)))) != told:
                    kube.apply(_slice(namespace, service, port, ready=ready), manager="endpoints-of-tests")
                    told = ready

    thread = threading.Thread(target=keep, name=f"endpoints-{service}", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _serves(pod: Manifest) -> bool:
    return "deletionTimestamp" not in pod["metadata"] and is_ready(pod)


def _slice(namespace: str, service: str, port: int, *, ready: bool) -> Manifest:
    key, manager = MANAGED_BY.split("=")  # as Kubernetes copies it from the Service
    labels = {SERVICE_LABEL: service, SLICE_MANAGER: "tests", key: manager}
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {"name": f"{service}-of-tests", "namespace": namespace, "labels": labels},
        "addressType": "IPv4",
        "endpoints": [{"addresses": [own_address()], "conditions": {"ready": True}}] if ready else [],
        "ports": [{"name": "http", "port": port, "protocol": "TCP"}],
    }
