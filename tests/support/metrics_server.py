"""The real metrics server as a process, registered with the API server under the identity that the chart gives it."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import yaml

from forge_operator.metrics_api.documents import API_SERVICES
from tests.support.kube import Kube, Manifest, RefusedError
from tests.support.operators import STARTS_WITHIN, Installed, Operator, as_account, component, rendered
from tests.support.ports import free_port
from tests.support.waiting import until


@dataclass(frozen=True)
class Registered:
    """What the chart leaves for the server to run with, and the port at which the API server expects it."""

    installed: Installed
    service: str
    namespace: str
    port: int


@contextmanager
def registered(kube: Kube, folder: Path, release: str) -> Iterator[Registered]:
    """The chart's objects for it, but for its pods: the API server is sent to this machine instead.

    Nothing stays registered: while nobody answers there, no namespace can be deleted.
    """
    manifests = [thing for thing in rendered(release) if component(thing) == "metrics-api"]
    kube.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": release}})
    port = free_port()
    for manifest in manifests:
        if manifest["kind"] not in ("Deployment", "Service", "APIService"):
            kube.apply(manifest, manager="helm")
    [service] = [thing for thing in manifests if thing["kind"] == "Service"]
    name = service["metadata"]["name"]
    if kube.find("Service", name, release):
        kube.delete("Service", name, release)
    here = {"type": "ExternalName", "externalName": "localhost"}
    kube.create({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": release}, "spec": here})
    for manifest in manifests:
        if manifest["kind"] == "APIService":
            kube.apply(_at(manifest, port), manager="helm")
    [settings] = [
        thing["data"]["config.yaml"]
        for thing in rendered(release)
        if thing["kind"] == "ConfigMap" and "config.yaml" in thing["data"]
    ]
    try:
        installed = as_account(kube, folder, release, name, yaml.safe_load(settings))
        yield Registered(installed, name, release, port)
    finally:
        for registration in API_SERVICES:
            kube.delete("APIService", registration)


def _at(manifest: Manifest, port: int) -> Manifest:
    spec: Mapping[str, Any] = manifest["spec"]
    return {**manifest, "spec": {**spec, "service": {**spec["service"], "port": port}}}


@contextmanager
def running(
    kube: Kube, place: Registered, folder: Path, *, port: int | None = None, awaits_registration: bool = True
) -> Iterator[Operator]:
    """The server, from when it is ready and the API server says so too. `port`: of a second one."""
    plain = free_port()
    name = f"metrics-{time.monotonic_ns()}"
    config, log = folder / f"{name}.yaml", folder / f"{name}.log"
    config.write_text(yaml.safe_dump({**place.installed.settings, "podAccess": "direct", "logFormat": "json"}))
    command = [sys.executable, "-m", "forge_operator.metrics_api", "--service", place.service]
    command += ["--kubeconfig", str(place.installed.kubeconfig), "--config", str(config)]
    command += ["--port", str(port or place.port), "--plain-port", str(plain)]
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, cwd=folder, env={**os.environ})
    server = Operator(process, log, plain)
    try:
        until(lambda: server.answers("/readyz"), limit=STARTS_WITHIN, what="the metrics server's /readyz")
        if awaits_registration:
            until(lambda: available(kube), limit=STARTS_WITHIN, what="the APIServices to be available")
        yield server
    finally:
        if process.poll() is None:
            server.stop()


@contextmanager
def directly(place: Registered) -> Iterator[httpx.Client]:
    """Past the API server, as anybody in a cluster could try."""
    with httpx.Client(base_url=f"https://localhost:{place.port}", verify=False, trust_env=False) as http:  # noqa: S501
        yield http


def available(kube: Kube) -> bool:
    """Whether the API server reaches the server at both registrations."""
    return all(_is_available(kube.get("APIService", name)) for name in API_SERVICES)


def _is_available(registration: Manifest) -> bool:
    conditions = registration.get("status", {}).get("conditions", [])
    return any(each["type"] == "Available" and each["status"] == "True" for each in conditions)


def values(kube: Kube, namespace: str, metric: str) -> dict[str, str] | None:
    """Pod to value, as an autoscaler reads them through the API server; None: it gets no answer."""
    try:
        found = kube.request("GET", f"/apis/custom.metrics.k8s.io/v1beta2/namespaces/{namespace}/pods/*/{metric}")
    except RefusedError:
        return None
    return {item["describedObject"]["name"]: item["value"] for item in found.json()["items"]}
