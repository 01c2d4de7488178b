"""A model whose files are in a bucket: refused, mended, served, and started again from the cache."""

import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from tests.cluster.conftest import LIMIT, SPEC, forwarded, upgrade
from tests.controlplane.lab import Lab
from tests.harness import engine, kind
from tests.harness.backends import Cluster
from tests.support import s3
from tests.support.checkpoints import a_real_pair
from tests.support.kube import SCIM, Kube
from tests.support.s3 import S3Server

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1200)]

CACHE = "forge-cache"
CACHE_FOLDER = "/srv/cache"  # on the node
MENDED = 420.0  # seconds; the kubelet waits up to five minutes before it tries a failed container again
WARM = 30.0  # seconds from apply to Ready, with everything in the cache
SECRET = "bucket-keys"


@pytest.fixture(scope="module")
def bucket(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """An S3 server on this machine, at the address by which the node reaches it."""
    if not cluster.is_kind:
        pytest.skip("pods reach a server on this machine only in a cluster made here")
    gateway = engine.docker("network", "inspect", "kind", "-f", "{{(index .IPAM.Config 0).Gateway}}").strip()
    folder = tmp_path_factory.mktemp("buckets")
    (folder / "runs").mkdir()
    a_real_pair(folder / "runs")
    with s3.running(folder, host=gateway) as server:
        yield server


@pytest.fixture(scope="module")
def allowed(bucket: S3Server, installed: Cluster, lab: Lab) -> Iterator[S3Server]:
    """The administrator allows this server, and gives the namespace a cache."""
    kind.in_node("rm", "-rf", CACHE_FOLDER)
    kind.in_node("install", "-d", "-o", "65532", "-g", "65532", CACHE_FOLDER)
    _claim(lab)
    sources = {
        "schemes": ["pvc", "s3"],
        "hosts": [bucket.host],
        "ports": [bucket.port],
        "maxBytes": "1Gi",
        "cache": {"claim": CACHE},
    }
    upgrade(installed, sources=sources)
    yield bucket
    upgrade(installed)


def _claim(lab: Lab) -> None:
    volume = f"{lab.namespace}-{CACHE}"
    shared = {"accessModes": ["ReadWriteMany"], "storageClassName": ""}
    home = {"hostPath": {"path": CACHE_FOLDER}, "capacity": {"storage": "1Gi"}}
    reference = {"claimRef": {"namespace": lab.namespace, "name": CACHE}}
    wants = {"volumeName": volume, "resources": {"requests": {"storage": "1Gi"}}}
    for kind_, meta, spec in (
        ("PersistentVolume", {"name": volume}, {**shared, **home, **reference}),
        ("PersistentVolumeClaim", {"name": CACHE, "namespace": lab.namespace}, {**shared, **wants}),
    ):
        lab.kube.create({"apiVersion": "v1", "kind": kind_, "metadata": meta, "spec": spec})


def _secret(lab: Lab, name: str, keys: dict[str, str]) -> None:
    body = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": keys}
    path = f"/api/v1/namespaces/{lab.namespace}/secrets/{name}"
    how = {"fieldManager": "a-person", "force": "true"}
    lab.kube.request("PATCH", path, body, "application/apply-patch+yaml", **how)


def _spec(secret: str) -> dict[str, Any]:
    sources = {
        "checkpoint": {"uri": "s3://runs/adapter", "secretRef": {"name": secret}},
        "baseModel": {"uri": "s3://runs/base", "secretRef": {"name": secret}},
    }
    return {**SPEC, **sources}


def test_a_secret_that_is_missing_or_wrong_is_told_and_once_mended_the_model_serves(
    lab: Lab, kube: Kube, allowed: S3Server
) -> None:
    _secret(lab, "wrong-keys", {**allowed.secret, "AWS_SECRET_ACCESS_KEY": "mistyped"})
    for name, secret in (("missing", "no-keys"), ("wrong", "wrong-keys")):
        lab.create(name, **_spec(secret))
    for name in ("missing", "wrong"):
        message = lab.awaits("Ready", "False", "SourceUnauthorized", name, limit=LIMIT)
        assert "Secret" in message
        assert "mistyped" not in message
        assert lab.condition("CheckpointVerified", name)[:2] == ("False", "SourceUnauthorized")
    told = lab.model("wrong")["status"]
    _await_retries(lab, "wrong", 2)
    assert lab.model("wrong")["status"] == told, "nothing is written from try to try"

    for secret in ("no-keys", "wrong-keys"):
        _secret(lab, secret, allowed.secret)
    for name in ("missing", "wrong"):
        lab.awaits("Ready", "True", "Serving", name, limit=MENDED)
    digests = {lab.model(name)["status"]["checkpoint"]["contentDigest"] for name in ("missing", "wrong")}
    assert len(digests) == 1
    with forwarded(kube, lab.namespace, "service/wrong", 80) as url:
        body = {"text": "gene", "max_new_tokens": 8}
        answer = httpx.post(f"{url}/api/v1/generate", json=body, timeout=120).raise_for_status().json()
    assert answer["provenance"]["checkpoint"] == lab.model("wrong")["status"]["checkpoint"]["digest"]
    for name in ("missing", "wrong"):
        lab.kube.delete(SCIM, name, lab.namespace)


def _await_retries(lab: Lab, name: str, count: int) -> None:
    def tried() -> bool:
        [pod] = lab.pods(lab.model(name))
        return int(pod["status"]["initContainerStatuses"][0]["restartCount"]) >= count

    lab.eventually(tried, f"{count} tries more", limit=LIMIT)


def test_a_start_with_a_warm_cache_downloads_nothing_and_is_quick(lab: Lab, kube: Kube, allowed: S3Server) -> None:
    _secret(lab, SECRET, allowed.secret)
    with _served(lab, "first") as cold:
        pass
    with _served(lab, "second") as warm:
        notes = [_fetched(kube, lab, "second", name) for name in ("fetch-checkpoint", "fetch-base-model")]
    busy = os.getloadavg()[0] / (os.cpu_count() or 1)
    print(f"apply to Ready: first {cold:.1f} s, with a warm cache {warm:.1f} s; load {busy:.1f} a core")
    assert all("from the cache" in note for note in notes)
    # On a machine that is busy with other things the time says nothing of the path.
    assert warm <= WARM * max(1.0, busy)


@contextmanager
def _served(lab: Lab, name: str) -> Iterator[float]:
    """A model, and the seconds from its creation to Ready; deleted at the end."""
    start = time.monotonic()
    lab.create(name, **_spec(SECRET))
    lab.awaits("Ready", "True", "Serving", name, limit=LIMIT)
    yield time.monotonic() - start
    lab.kube.delete(SCIM, name, lab.namespace)


def _fetched(kube: Kube, lab: Lab, model: str, container: str) -> str:
    """What a fetcher said last."""
    log = kube.ctl("logs", "-n", lab.namespace, f"deployment/{model}", "-c", container)
    return str(json.loads(log.splitlines()[-1])["message"])
