"""The chart, installed on a real cluster, and a namespace in which pods must be restricted."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.controlplane.lab import Lab
from tests.harness import kind
from tests.harness.backends import Cluster
from tests.harness.steps import run
from tests.harness.toolchain import program
from tests.support.checkpoints import a_real_pair
from tests.support.kube import Kube, connected
from tests.support.operators import CHART

RELEASE, NAMESPACE = "forge", "forge-system"
FOLDER = "/srv/models"  # on the node; what `claims` mounts
RESTRICTED = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn", "audit")}


@pytest.fixture(scope="session")
def kube(cluster: Cluster) -> Iterator[Kube]:
    with connected(cluster.kubeconfig) as person:
        yield person


@pytest.fixture(scope="session")
def installed(cluster: Cluster) -> Cluster:
    """The chart with both images of this clone."""
    words: list[str | Path] = [
        program("helm"),
        "--kubeconfig",
        cluster.kubeconfig,
        "upgrade",
        "--install",
        RELEASE,
        CHART,
    ]
    words += ["--namespace", NAMESPACE, "--create-namespace", "--wait", "--timeout", "5m"]
    words += ["--set-string", "profiles.cpu.requests.cpu=100m"]  # several models on a node of two cores
    for value, reference in {"image": cluster.operator_image, "inference.image": cluster.inference_image}.items():
        repository, _, tag = reference.rpartition(":")
        words += ["--set-string", f"{value}.repository={repository}", "--set-string", f"{value}.tag={tag}"]
    run(words, timeout=400)
    return cluster


@pytest.fixture(scope="session")
def files(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A small base model and its adapter in the node's folder."""
    if not cluster.is_kind:
        pytest.skip("the checkpoint is put on the node itself, which only a cluster made here allows")
    folder = tmp_path_factory.mktemp("checkpoint")
    a_real_pair(folder)
    kind.in_node("mkdir", "-p", FOLDER)
    pack = subprocess.run(["tar", "-C", folder, "--mode=a+rX", "-cf", "-", "."], capture_output=True, check=True)
    unpack = ["docker", "exec", "-i", kind.NODE, "tar", "-C", FOLDER, "--no-same-owner", "-xf", "-"]
    subprocess.run(unpack, input=pack.stdout, check=True)


@pytest.fixture(scope="session")
def lab(kube: Kube, installed: Cluster, files: None) -> Iterator[Lab]:
    with Lab.created(kube, RESTRICTED) as own:
        yield own
