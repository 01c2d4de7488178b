"""Helm's real install beside another provider of custom metrics, and its upgrade beside what the server wrote."""

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote
from uuid import uuid4

import pytest

from forge_operator.metrics_api.certificates import issued
from forge_operator.metrics_api.documents import API_SERVICES
from tests.controlplane.lab import Lab
from tests.harness.errors import HarnessError
from tests.harness.steps import run
from tests.harness.toolchain import program
from tests.support.certificates import an_authority
from tests.support.kube import Kube, Manifest
from tests.support.operators import CHART, Installed
from tests.support.ports import listening
from tests.support.scalable import autoscaler, deployment
from tests.support.waiting import until

pytestmark = pytest.mark.controlplane

LIMIT = 60.0
THEIRS, GROUP = "queue_of_another_team", "custom.metrics.k8s.io/v1beta1"


class _Adapter(BaseHTTPRequestHandler):
    """Another provider: one metric, of every pod, always 3."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        path = unquote(self.path.partition("?")[0])
        if path == f"/apis/{GROUP}":
            resource = {"name": f"pods/{THEIRS}", "singularName": "", "namespaced": True, "kind": "MetricValueList"}
            body = {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": GROUP}
            self._send(200, {**body, "resources": [{**resource, "verbs": ["get"]}]})
        elif path.endswith(f"/pods/*/{THEIRS}"):
            namespace = path.split("/")[5]
            pods = self.server.kube.list("Pod", namespace)  # type: ignore[attr-defined]
            items = [
                {
                    "describedObject": {"kind": "Pod", "namespace": namespace, "name": pod["metadata"]["name"]},
                    "metricName": THEIRS,
                    "timestamp": "2026-01-01T00:00:00Z",
                    "value": "3",
                }
                for pod in pods
            ]
            self._send(200, {"kind": "MetricValueList", "apiVersion": GROUP, "metadata": {}, "items": items})
        else:
            self._send(404, {"kind": "Status", "code": 404})

    def _send(self, code: int, body: Manifest) -> None:
        content = json.dumps(body).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it
        """Silent."""


@contextmanager
def another_provider(kube: Kube, lab: Lab, folder: Path) -> Iterator[Manifest]:
    """Registered as prometheus-adapter is, and listening on this machine."""
    server = ThreadingHTTPServer(("localhost", 0), _Adapter)
    server.kube = kube  # type: ignore[attr-defined]
    server.socket = an_authority(folder).context.wrap_socket(server.socket, server_side=True)
    place = {"namespace": lab.namespace, "name": "prometheus-adapter"}
    here = {"type": "ExternalName", "externalName": "localhost"}
    kube.create({"apiVersion": "v1", "kind": "Service", "metadata": place, "spec": here})
    spec = {
        "group": "custom.metrics.k8s.io",
        "version": "v1beta1",
        "groupPriorityMinimum": 100,
        "versionPriority": 100,
        "insecureSkipTLSVerify": True,
        "service": {**place, "port": server.server_address[1]},
    }
    meta = {"name": f"v1beta1.{spec['group']}"}
    registration = {"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService", "metadata": meta, "spec": spec}
    with listening(server):
        try:
            yield kube.create(registration)
        finally:
            kube.delete("APIService", meta["name"])


@contextmanager
def a_home(kube: Kube) -> Iterator[str]:
    """A namespace for a release, which is uninstalled in the end."""
    name = f"forge-{uuid4().hex[:8]}"
    kube.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    try:
        yield name
    finally:
        helm(kube, "uninstall", "forge", "--namespace", name, "--ignore-not-found")
        kube.delete("Namespace", name)


def helm(kube: Kube, *words: str) -> str:
    """Raises HarnessError with its words."""
    return run([program("helm"), "--kubeconfig", kube.kubeconfig, *words])


def installs(kube: Kube, namespace: str, *words: str) -> str:
    """The definition is there already, and another release's."""
    chart = ["--install", "forge", str(CHART), "--namespace", namespace, "--set", "crds.install=false"]
    return helm(kube, "upgrade", *chart, *words)


def test_another_providers_users_are_not_touched(kube: Kube, lab: Lab, installed: Installed, folder: Path) -> None:
    def scales() -> bool:
        found = kube.get("HorizontalPodAutoscaler", "theirs", lab.namespace)
        conditions = found.get("status", {}).get("conditions", [])
        active = any(each["type"] == "ScalingActive" and each["status"] == "True" for each in conditions)
        return active and kube.get("Deployment", "theirs", lab.namespace)["spec"]["replicas"] == 5

    with another_provider(kube, lab, folder) as registration, a_home(kube) as namespace:
        kube.create(deployment("theirs", lab.namespace, "theirs"))
        kube.create(autoscaler("theirs", lab.namespace, THEIRS, 1))
        until(scales, limit=LIMIT, what="the other team's autoscaler to work")
        name = f"{lab.namespace}/prometheus-adapter"
        with pytest.raises(HarnessError, match=rf"(?s)served in this cluster by {name}.*keda or none"):
            installs(kube, namespace)
        assert kube.list("Deployment", namespace) == [], "nothing was begun"
        for backend in ("none", "keda"):
            installs(kube, namespace, "--set", f"autoscaling.backend={backend}")
            assert kube.get("APIService", API_SERVICES[1])["spec"] == registration["spec"]
            assert kube.find("APIService", API_SERVICES[0]) is None
        kube.patch("Deployment", "theirs", lab.namespace, {"spec": {"replicas": 1}})
        until(scales, limit=LIMIT, what="the other team's autoscaler to work as before")


@pytest.mark.parametrize("way", ["true", "false"], ids=["server-side apply", "three-way merge"])
def test_an_upgrade_keeps_the_certificate_and_the_trust_in_it(kube: Kube, installed: Installed, way: str) -> None:
    authority = issued(["forge-metrics-api.svc"], datetime.now(UTC)).authority
    bundle = base64.b64encode(authority.encode()).decode()
    with a_home(kube) as namespace:
        installs(kube, namespace, f"--server-side={way}")
        [secret] = [thing for thing in kube.list("Secret", namespace) if thing["type"] == "Opaque"]
        name = secret["metadata"]["name"]
        kube.patch("Secret", name, namespace, {"data": {"ca.crt": bundle}})
        for registration in API_SERVICES:
            kube.request(
                "PATCH",
                f"/apis/apiregistration.k8s.io/v1/apiservices/{registration}",
                {"spec": {"caBundle": bundle}},
                "application/merge-patch+json",
            )
        for value in ("workers=3", "autoscaling.metricsServer.replicas=2"):
            installs(kube, namespace, f"--server-side={way}", "--set", value)
        assert kube.get("Secret", name, namespace)["data"] == {"ca.crt": bundle}
        for registration in API_SERVICES:
            assert kube.get("APIService", registration)["spec"]["caBundle"] == bundle
