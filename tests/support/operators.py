"""The real operator as a process, under the identity and with the settings that the chart gives it."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import yaml

from tests.harness.places import ROOT
from tests.harness.steps import run
from tests.harness.toolchain import program
from tests.support.kube import MONITORING, SCIM, Kube, Manifest, RefusedError
from tests.support.waiting import until

CHART = ROOT / "charts" / "scientificllm-forge"
STARTS_WITHIN, STOPS_WITHIN = 60.0, 30.0  # seconds


def rendered(release: str, *values: str, file: Path | None = None, monitored: bool = False) -> list[Manifest]:
    """The chart's objects; `values` as of `--set`, `file` as of `--values`. The namespace is named like the release.

    `monitored`: as on a cluster that has the Prometheus operator's definitions.
    """
    command: list[str | Path] = [program("helm"), "template", release, CHART, "--namespace", release]
    command += [
        word for kind in MONITORING if monitored for word in ("--api-versions", f"monitoring.coreos.com/v1/{kind}")
    ]
    command += [word for value in values for word in ("--set", value)]
    command += ["--values", file] if file else []
    return [manifest for manifest in yaml.safe_load_all(run(command)) if manifest]


def component(manifest: Manifest) -> str:
    """Which of the chart's programs an object belongs to."""
    return str(manifest["metadata"].get("labels", {}).get("app.kubernetes.io/component", ""))


@dataclass(frozen=True)
class Installed:
    """What `helm install` leaves for the operator to run with: who it is, and its settings."""

    user: str
    kubeconfig: Path
    settings: Mapping[str, Any]


def install(kube: Kube, folder: Path, release: str, *values: str) -> Installed:
    """Apply all that the chart renders but the operator's pods, which are what `running` starts as a process.

    The metrics server is not registered either: while nobody answers there, no namespace can be deleted.
    """
    manifests = [m for m in rendered(release, *values) if "helm.sh/hook" not in m["metadata"].get("annotations", {})]
    kube.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": release}})
    workload = next(m for m in manifests if m["kind"] == "Deployment" and component(m) == "operator")
    for manifest in manifests:
        unregistered = component(manifest) == "metrics-api" and manifest["kind"] in ("Deployment", "APIService")
        if manifest is not workload and not unregistered:
            kube.apply(manifest, manager="helm")
    account = workload["spec"]["template"]["spec"]["serviceAccountName"]
    settings = next(m["data"]["config.yaml"] for m in manifests if m["kind"] == "ConfigMap")
    return as_account(kube, folder, release, account, yaml.safe_load(settings))


def as_account(kube: Kube, folder: Path, namespace: str, account: str, settings: Mapping[str, Any]) -> Installed:
    """What a program runs with that has this ServiceAccount."""
    path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token"
    ask = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 7200}}
    token = kube.request("POST", path, ask).json()["status"]["token"]
    kubeconfig = _kubeconfig(kube, folder / f"{namespace}-{account}.kubeconfig", token)
    return Installed(f"system:serviceaccount:{namespace}:{account}", kubeconfig, settings)


def await_crd(kube: Kube) -> None:
    """Until the API server serves our resource and explains it."""

    def explained() -> bool:
        try:
            text = kube.request("GET", "/openapi/v3/apis/serving.scientificllm.io/v1alpha1").text
        except RefusedError:
            return False
        return SCIM in text

    until(explained, limit=STARTS_WITHIN, what="the API server to explain the resource")


def _kubeconfig(kube: Kube, path: Path, token: str) -> Path:
    content = yaml.safe_load(kube.kubeconfig.read_text())
    content["users"] = [{"name": user["name"], "user": {"token": token}} for user in content["users"]]
    path.write_text(yaml.safe_dump(content))
    path.chmod(0o600)
    return path


class Operator:
    """A running operator process."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path, probe_port: int) -> None:
        self._process = process
        self._log = log
        self.address = f"http://127.0.0.1:{probe_port}"
        self.rss_peak = 0.0  # MiB, of the moments at which `measure` was called

    def lines(self) -> list[dict[str, Any]]:
        """What it logged; a line that is not JSON becomes {"message": line}."""
        return [_line(text) for text in self._log.read_text(errors="replace").splitlines() if text.strip()]

    def answers(self, path: str) -> bool:
        """Whether a probe is green. Raises AssertionError, with the log's end, when the process has ended."""
        self._must_run()
        try:
            return httpx.get(f"{self.address}{path}", timeout=2, trust_env=False).is_success
        except httpx.TransportError:
            return False

    def _must_run(self) -> None:
        if self._process.poll() is not None:
            tail = "\n".join(self._log.read_text(errors="replace").splitlines()[-30:])
            raise AssertionError(f"the operator ended with status {self._process.returncode}:\n{tail}")

    def measure(self) -> float:
        """Its memory now, in MiB. Raises AssertionError when the process has ended."""
        self._must_run()
        now = float(psutil.Process(self._process.pid).memory_info().rss) / 2**20
        self.rss_peak = max(self.rss_peak, now)
        return now

    def cpu_seconds(self) -> float:
        """What it has used of all cores together."""
        used = psutil.Process(self._process.pid).cpu_times()
        return float(used.user + used.system)

    def stop(self) -> int:
        """Ask it to end, as the kubelet does; its exit status. Raises when it does not obey."""
        self._process.terminate()
        try:
            return self._process.wait(STOPS_WITHIN)
        except subprocess.TimeoutExpired:
            self.kill()
            raise

    def kill(self) -> None:
        """End it without a chance to say goodbye."""
        self._process.kill()
        self._process.wait(STOPS_WITHIN)

    def wait(self, limit: float) -> int:
        """Its exit status, once it ended by itself."""
        return self._process.wait(limit)


@contextmanager
def running(installed: Installed, folder: Path, *, ready: str = "/readyz", **settings: Any) -> Iterator[Operator]:
    """The operator, from when its probe `ready` is green. `settings` replace those of the chart."""
    probe, metrics = _free_port(), _free_port()
    ours = {"podAccess": "direct", "probePort": probe, "metricsPort": metrics, "logFormat": "json"}
    name = f"operator-{time.monotonic_ns()}"
    config, log = folder / f"{name}.yaml", folder / f"{name}.log"
    config.write_text(yaml.safe_dump({**installed.settings, **ours, **settings}))
    command = [
        sys.executable,
        "-m",
        "forge_operator",
        "--kubeconfig",
        str(installed.kubeconfig),
        "--config",
        str(config),
    ]
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, cwd=folder, env={**os.environ})
    operator = Operator(process, log, probe)
    try:
        until(lambda: operator.answers(ready), limit=STARTS_WITHIN, what=f"the operator's {ready}")
        yield operator
    finally:
        if process.poll() is None:
            operator.stop()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _line(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        return {"message": text}
    return found if isinstance(found, dict) else {"message": text}
