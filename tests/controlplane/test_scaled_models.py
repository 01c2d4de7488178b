"""All of it but real pods: operator, metrics server and Kubernetes' own autoscaler, and what status says of them."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.controlplane.lab import Lab
from tests.support import metrics_server
from tests.support.expositions import Exposition
from tests.support.kube import SCIM, AuditLog, Kube
from tests.support.metrics_server import Registered
from tests.support.operators import Installed, Operator
from tests.support.pods import AdminPort
from tests.support.waiting import until

pytestmark = [pytest.mark.controlplane, pytest.mark.usefixtures("operator")]

WISH = {
    "maxReplicas": 4,
    "metrics": [{"type": "QueueDepth", "target": 4}, {"type": "GPUUtilization", "target": 80}],
    "scaleDownDelaySeconds": 0,
}
LIMIT = 60.0  # seconds: a round, a look of the autoscaler and a fake pod's start take ten; the machine may be busy
ONE_GPU = ((40.0, 10.0, 20.0),)


@pytest.fixture(scope="module")
def place(kube: Kube, installed: Installed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registered]:
    with metrics_server.registered(kube, tmp_path_factory.mktemp("registered"), "forge-system") as found:
        yield found


@pytest.fixture
def server(kube: Kube, place: Registered, folder: Path) -> Iterator[Operator]:
    with metrics_server.running(kube, place, folder) as found:
        yield found


def _say(admin: AdminPort, waiting: float, percent: float = 40.0) -> None:
    """What each pod says from now on."""
    text = Exposition(waiting=waiting, gpus=((percent, 10.0, 20.0),)).text
    admin.metrics = lambda _: text


def _decided(lab: Lab, words: str) -> None:
    def told() -> bool:
        return bool(lab.model()["status"].get("autoscaling", {}).get("lastDecision") == words)

    try:
        lab.eventually(told, words, limit=LIMIT)
    except Exception as error:
        error.add_note(f"it is {lab.model()['status'].get('autoscaling')}")
        raise


def _passes(seconds: float) -> None:
    """What is looked for is that nothing happens in this time."""
    end = time.monotonic() + seconds
    until(lambda: time.monotonic() > end, limit=seconds + 5, what="the time to pass", pause=0.5)


def test_a_queue_makes_pods_and_status_tells_it_in_words(server: Operator, lab: Lab, admin: AdminPort) -> None:
    _say(admin, waiting=1)
    lab.create(autoscaling=WISH)
    message = lab.awaits("AutoscalingActive", "True", "Scaling", limit=LIMIT)
    assert message == "Between 1 and 4 pods, by QueueDepth and GPUUtilization."
    seen = {each["type"]: (each["value"], each["target"]) for each in lab.model()["status"]["autoscaling"]["metrics"]}
    assert seen == {"QueueDepth": (1, 4), "GPUUtilization": (40, 80)}
    _say(admin, waiting=12)
    _decided(lab, "1 → 3: QueueDepth 12 per replica, target 4")
    _say(admin, waiting=4)
    lab.awaits("Progressing", "True", "RolledOut", limit=LIMIT)
    assert lab.condition("Ready")[:2] == ("True", "Serving")


def test_a_busy_gpu_makes_pods_too(server: Operator, lab: Lab, admin: AdminPort) -> None:
    _say(admin, waiting=1)
    lab.create(autoscaling=WISH)
    lab.awaits("AutoscalingActive", "True", "Scaling", limit=LIMIT)
    _say(admin, waiting=1, percent=100)
    _decided(lab, "1 → 2: GPUUtilization 100 %, target 80")


def test_without_values_nothing_moves_and_with_them_again_it_goes_on(
    server: Operator, lab: Lab, admin: AdminPort, audit: AuditLog, installed: Installed
) -> None:
    _say(admin, waiting=1)
    lab.create(autoscaling={**WISH, "minReplicas": 2})
    lab.awaits("AutoscalingActive", "True", "Scaling", limit=LIMIT)
    lab.settled()
    before = lab.model()["status"]
    admin.metrics = lambda _: None  # no answer at all
    message = lab.awaits("AutoscalingActive", "Unknown", "MetricsMissing", limit=2 * LIMIT)
    assert message.startswith("QueueDepth and GPUUtilization cannot be read; the number of pods holds.")
    assert "has no sample of the model's pods" in message
    blind = lab.model()["status"]["autoscaling"]
    assert [each["value"] for each in blind["metrics"]] == [1, 40], "the last ones that were seen"
    assert blind["desiredReplicas"] == before["autoscaling"]["desiredReplicas"] == 2
    audit.mark()
    _passes(6)  # three looks of the autoscaler: is each of them a write?
    assert audit.writes(installed.user, lab.namespace) == []
    _say(admin, waiting=1)
    lab.awaits("AutoscalingActive", "True", "Scaling", limit=LIMIT)
    assert lab.model()["status"]["autoscaling"].get("lastDecision") == before["autoscaling"].get("lastDecision")


def test_values_that_move_all_the_time_are_not_written_all_the_time(
    server: Operator, lab: Lab, admin: AdminPort, audit: AuditLog, installed: Installed
) -> None:
    count = iter(range(1, 200))
    admin.metrics = lambda _: Exposition(waiting=1 + next(count) / 100, gpus=ONE_GPU).text
    lab.create(autoscaling=WISH)
    lab.awaits("AutoscalingActive", "True", "Scaling", limit=LIMIT)
    lab.settled()
    audit.mark()
    hpa = lab.kube.get("HorizontalPodAutoscaler", "hbb", lab.namespace)["metadata"]["resourceVersion"]
    _passes(15)
    assert lab.kube.get("HorizontalPodAutoscaler", "hbb", lab.namespace)["metadata"]["resourceVersion"] != hpa
    written = [write for write in audit.writes(installed.user, lab.namespace) if write.name == "hbb"]
    assert len(written) <= 1, f"{len(written)} writes about a {SCIM} that was never decided about"
