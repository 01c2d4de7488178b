"""The chart, installed on a real cluster, and a namespace in which pods must be restricted."""

import json
import re
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.controlplane.lab import Lab
from tests.harness import kind
from tests.harness.backends import Cluster
from tests.harness.steps import run
from tests.harness.toolchain import program
from tests.support.checkpoints import a_real_pair, cut_short, without_effect
from tests.support.kube import Kube, connected
from tests.support.operators import CHART

RELEASE, NAMESPACE = "forge", "forge-system"
FOLDER = "/srv/models"  # on the node; what `claims` mounts
LIMIT = 300.0  # seconds; the first pod unpacks an image of 6 GB
SPEC: dict[str, Any] = {
    "checkpoint": {"uri": "pvc://models/adapter"},
    "baseModel": {"uri": "pvc://models/base"},
    "quantization": {"method": "nf4"},
    "serving": {"maxModelLen": 256, "requestTimeoutSeconds": 30},
}
RESTRICTED = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn", "audit")}


@pytest.fixture(scope="session")
def kube(cluster: Cluster) -> Iterator[Kube]:
    with connected(cluster.kubeconfig) as person:
        yield person


@pytest.fixture(scope="session")
def installed(cluster: Cluster) -> Cluster:
    """The chart with both images of this clone."""
    upgrade(cluster)
    return cluster


def upgrade(cluster: Cluster, *values: str, sources: Mapping[str, Any] | None = None) -> None:
    """`helm upgrade` to both images of this clone and these values; waits for the operator."""
    chosen = ["profiles.cpu.requests.cpu=100m"]  # several models on a node of two cores
    # Less than the server needs to start, enough for the container itself.
    chosen += [f"profiles.tiny.{part}.memory=96Mi" for part in ("requests", "limits")]
    for value, reference in {"image": cluster.operator_image, "inference.image": cluster.inference_image}.items():
        repository, _, tag = reference.rpartition(":")
        chosen += [f"{value}.repository={repository}", f"{value}.tag={tag}"]
    words = [part for value in (*chosen, *values) for part in ("--set-string", value)]
    words += ["--set-json", f"sources={json.dumps(sources)}"] if sources else []
    words += ["--namespace", NAMESPACE, "--create-namespace", "--wait", "--timeout", "5m"]
    to: list[str | Path] = ["--kubeconfig", cluster.kubeconfig]
    command: list[str | Path] = [program("helm"), *to, "upgrade", "--install", RELEASE, CHART, *words]
    run(command, timeout=400)


@pytest.fixture(scope="session")
def files(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> None:
    """In the node's folder: a small base model, its adapter, and adapters with a fault."""
    if not cluster.is_kind:
        pytest.skip("the checkpoint is put on the node itself, which only a cluster made here allows")
    folder = tmp_path_factory.mktemp("checkpoint")
    _, adapter = a_real_pair(folder)
    without_effect(adapter, folder / "zeros")
    cut_short(adapter, folder / "cut")
    put(folder)


def put(folder: Path) -> None:
    """Have what is in a folder here in the node's as well."""
    kind.in_node("mkdir", "-p", FOLDER)
    pack = subprocess.run(["tar", "-C", folder, "--mode=a+rX", "-cf", "-", "."], capture_output=True, check=True)
    unpack = ["docker", "exec", "-i", kind.NODE, "tar", "-C", FOLDER, "--no-same-owner", "-xf", "-"]
    subprocess.run(unpack, input=pack.stdout, check=True)


@pytest.fixture(scope="session")
def lab(kube: Kube, installed: Cluster, files: None) -> Iterator[Lab]:
    with Lab.created(kube, RESTRICTED) as own:
        yield own


@contextmanager
def forwarded(kube: Kube, namespace: str, target: str, port: int) -> Iterator[str]:
    """A URL on this machine for a port of the cluster."""
    command: list[str | Path] = [program("kubectl"), "--kubeconfig", kube.kubeconfig]
    command += ["port-forward", "-n", namespace, target, f":{port}"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as forwarding:
        try:
            assert forwarding.stdout
            line = forwarding.stdout.readline()
            found = re.search(r"127\.0\.0\.1:(\d+)", line)
            assert found, line
            yield f"http://127.0.0.1:{found[1]}"
        finally:
            forwarding.terminate()
