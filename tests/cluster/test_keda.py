"""KEDA itself, built from its module, scales a model by what our metrics server says, as without Prometheus."""

from collections.abc import Iterator

import pytest
import yaml

from tests.cluster.conftest import LIMIT, RESTRICTED, SPEC, upgrade
from tests.controlplane.lab import Lab
from tests.harness import keda, nvml
from tests.harness.backends import Cluster
from tests.support.elastic import Elastic
from tests.support.kube import SCIM, Kube
from tests.support.waiting import until

pytestmark = [pytest.mark.cluster, pytest.mark.slow, pytest.mark.timeout(2400)]

STARTED = 240.0  # seconds until new pods are ready
DECIDED = 120.0  # KEDA asks every 15 s, the autoscaler it made asks KEDA every 15
LESS = DECIDED + 60.0  # at most half of the pods go in a minute
SCALING = {
    "minReplicas": 1,
    "maxReplicas": 3,
    "scaleDownDelaySeconds": 15,
    "metrics": [{"type": "GPUUtilization", "target": 40}],
}


@pytest.fixture(scope="module")
def asked_for(request: pytest.FixtureRequest) -> None:
    """Not among the others: building KEDA takes ten minutes of two cores."""
    if not request.config.getoption("--keda"):
        pytest.skip("KEDA is built and run when asked for: pytest --keda tests/cluster/test_keda.py")


@pytest.fixture(scope="module")
def runs(asked_for: None, cluster: Cluster, kube: Kube, installed: Cluster) -> Iterator[None]:
    """KEDA in the cluster, and the chart that leaves the scaling to it."""
    if not cluster.is_kind:
        pytest.skip("KEDA's image is put into the node itself, which only a cluster made here allows")
    keda.load()
    everything = yaml.safe_dump_all(keda.manifests())
    kube.ctl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=everything)
    try:
        available = ["--for=condition=Available", "deployment", "--all", "--timeout=240s"]
        kube.ctl("wait", "-n", keda.NAMESPACE, *available)
        repository, _, tag = nvml.image(cluster.inference_image).rpartition(":")
        image = [f"inference.image.repository={repository}", f"inference.image.tag={tag}"]
        upgrade(cluster, *image, "autoscaling.backend=keda")
        yield
        upgrade(cluster)
    finally:
        kube.ctl("delete", "-f", "-", "--ignore-not-found", "--wait=false", stdin=everything)


@pytest.fixture(scope="module")
def elastic(kube: Kube, runs: None, files: None) -> Iterator[Elastic]:
    with Lab.created(kube, RESTRICTED) as lab:
        model = Elastic.created(lab, "elastic", **{**SPEC, "autoscaling": SCALING})
        lab.awaits("Ready", "True", "Serving", model.name, limit=LIMIT)
        yield model
        lab.kube.delete(SCIM, model.name, lab.namespace)
        # KEDA's finalizer is on it: it must go while KEDA runs.
        gone = lambda: not kube.ctl("get", "scaledobjects", "-n", lab.namespace, "-o", "name").strip()  # noqa: E731
        until(gone, limit=120, what="the ScaledObject to be gone", pause=1)


def test_keda_adds_pods_for_a_busy_gpu_and_takes_them_away_again(elastic: Elastic) -> None:
    elastic.lab.awaits("AutoscalingActive", "True", "Scaling", elastic.name, limit=DECIDED)
    elastic.gpu(96)
    elastic.awaits(3, limit=DECIDED)
    elastic.lab.eventually(lambda: elastic.events("Scaled"), "an event of the decision")
    assert "1 → 3: GPUUtilization 96 %, target 40" in elastic.events("Scaled")[0]
    elastic.awaits_ready(3, limit=STARTED)
    elastic.gpu(0)
    elastic.awaits(1, limit=LESS)
