"""Load makes pods and idleness takes them away, on real pods; and what happens when nobody knows the load.

One model, whose metric changes from test to test: they run in this order. Figures of the GPU are NVML's, from a file.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.cluster.conftest import LIMIT, NAMESPACE, RESTRICTED, SPEC, upgrade
from tests.controlplane.lab import Lab
from tests.harness import kind, nvml
from tests.harness.backends import Cluster
from tests.support.elastic import Elastic, recorded
from tests.support.kube import SCIM, Kube
from tests.support.load import Load, offered
from tests.support.waiting import until

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]

DELAY = 15  # seconds for which the load must be low
# One answer at a time and a short queue, so that little load is much: the machine may have two cores. Nobody is told on
# them that an answer took too long, which is not what is tested.
SERVING = {"maxModelLen": 512, "maxConcurrency": 1, "maxQueue": 16, "requestTimeoutSeconds": 120}
SCALING = {"minReplicas": 1, "maxReplicas": 3, "scaleDownDelaySeconds": DELAY}
ASKED = ["--api", "completions", "--ignore-eos", "--warmup", "0"]  # answers of one length
# Seconds. The autoscaler looks every 15; a sample may be some seconds old; a start takes a busy machine its time.
DECIDED, STARTED = 75.0, 240.0
LESS = DELAY + 75.0 + 60.0  # at most half of the pods go in a minute
STALE = 90.0  # a sample is believed for 30 s, then the autoscaler looks, then status says so
HELD = 2 * 15.0 + 5  # seconds: two looks of the autoscaler, and twice the delay


@pytest.fixture(scope="module")
def elastic(kube: Kube, installed: Cluster, files: None) -> Iterator[Elastic]:
    """A model of one pod, on an image with a GPU in a file."""
    repository, _, tag = nvml.image(installed.inference_image).rpartition(":")
    upgrade(installed, f"inference.image.repository={repository}", f"inference.image.tag={tag}")
    try:
        with Lab.created(kube, RESTRICTED) as lab:
            metrics = [{"type": "QueueDepth", "target": 4}]
            spec = {**SPEC, "serving": SERVING, "autoscaling": {**SCALING, "metrics": metrics}}
            model = Elastic.created(lab, "elastic", **spec)
            lab.awaits("Ready", "True", "Serving", model.name, limit=LIMIT)
            yield model
            lab.kube.delete(SCIM, model.name, lab.namespace)
    finally:
        upgrade(installed)


@contextmanager
def _offered(elastic: Elastic, installed: Cluster, *flags: str) -> Iterator[Load]:
    lab = elastic.lab
    with offered(lab.kube, lab.namespace, installed.inference_image, elastic.url, *ASKED, *flags) as load:
        yield load


def _await_decision(elastic: Elastic, words: str) -> None:
    """Until status says so of the last decision, and an event with it."""

    def said() -> bool:
        status = elastic.lab.model(elastic.name)["status"]
        return words in str(status.get("autoscaling", {}).get("lastDecision"))

    try:
        until(said, limit=90, what=f"the decision {words!r}", pause=0.5)
    except TimeoutError as error:
        error.add_note(f"it is {elastic.lab.model(elastic.name)['status'].get('autoscaling')}")
        raise
    until(lambda: any(words in told for told in elastic.events("Scaled")), limit=90, what=f"an event {words!r}")


def test_prompts_that_wait_bring_pods_and_no_answer_is_cut_off_when_they_go(
    elastic: Elastic, installed: Cluster
) -> None:
    elastic.lab.awaits("AutoscalingActive", "True", "Scaling", elastic.name, limit=DECIDED)
    with recorded(elastic, "QueueDepth") as seen:
        with _offered(elastic, installed, "--rate", "10:5m", "--max-tokens", "64") as load:
            elastic.awaits(3, limit=DECIDED)
            _await_decision(elastic, "1 → 3: QueueDepth")
            elastic.awaits_ready(3, limit=STARTED)
        # Few enough for one pod, and always more than one answer under way when the other two go.
        with _offered(elastic, installed, "--concurrency", "5", "--duration", "100s", "--max-tokens", "200") as load:
            elastic.awaits(1, limit=LESS)
            leaving = elastic.running_on_leaving()
            elastic.awaits_ready(1, limit=STARTED)
            figures = load.figures(limit=STARTED)
    requests = figures["requests"]
    assert leaving > 0, "no answer was under way on a pod that left"
    assert (requests["failed"], requests["refused_503"], requests["unfinished"]) == (0, 0, 0), figures["errors"]
    assert requests["succeeded"] > 10
    assert seen.steps in ([1, 3, 1], [1, 3, 2, 1]), "up once, and down without another step up"


def test_answers_that_take_long_bring_pods(elastic: Elastic, installed: Cluster) -> None:
    until(lambda: elastic.value("LatencyP95") == 0, limit=90, what="a minute without answers", pause=0.5)
    elastic.scale_by("LatencyP95", 0.2)  # less than a third of what such an answer takes on an empty pod
    load = ("--rate", "10:5m", "--max-tokens", "400")
    with recorded(elastic, "LatencyP95") as seen, _offered(elastic, installed, *load):
        elastic.awaits(3, limit=DECIDED)
        _await_decision(elastic, "1 → 3: LatencyP95")
    assert seen.steps == [1, 3]


def test_a_busy_gpu_brings_pods_and_an_idle_one_takes_them_away(elastic: Elastic) -> None:
    elastic.gpu(0)
    elastic.scale_by("GPUUtilization", 40)
    elastic.awaits(1, limit=LESS)
    elastic.awaits_ready(1, limit=STARTED)
    with recorded(elastic, "GPUUtilization") as seen:
        elastic.gpu(96)
        elastic.awaits(3, limit=DECIDED)
        _await_decision(elastic, "1 → 3: GPUUtilization 96 %, target 40")
        _await_busy(elastic, 40)
    assert seen.steps == [1, 3]


def test_while_the_metrics_server_is_gone_replicas_hold(elastic: Elastic, kube: Kube) -> None:
    _await_busy(elastic, 40)
    [server] = [
        found["metadata"]["name"]
        for found in kube.list("Deployment", NAMESPACE)
        if found["metadata"]["name"].endswith("-metrics-api")
    ]
    with recorded(elastic, "GPUUtilization") as seen:
        kube.ctl("scale", "-n", NAMESPACE, f"deployment/{server}", "--replicas=0")
        try:
            until(lambda: elastic.value("GPUUtilization") is None, limit=60, what="no metrics", pause=0.5)
            # Idle only while nobody can read it: who read it would be right to take pods away.
            elastic.gpu(0)
            _await_unknown(elastic)
            _held(HELD)
            assert seen.steps == [3], "nothing is known, so nothing is taken away"
            elastic.gpu(40)
        finally:
            kube.ctl("scale", "-n", NAMESPACE, f"deployment/{server}", "--replicas=1")
        elastic.lab.awaits("AutoscalingActive", "True", "Scaling", elastic.name, limit=STALE)
        _held(HELD)
        assert seen.steps == [3], "what is known again asks for no other number"


def test_while_the_pods_do_not_answer_replicas_hold(elastic: Elastic) -> None:
    _await_busy(elastic, 40)
    with recorded(elastic, "GPUUtilization") as seen:
        with _stopped(elastic):
            elastic.gpu(0)  # not before: who read it would be right to take pods away
            _await_unknown(elastic)
            assert seen.steps == [3]
            elastic.gpu(40)
        elastic.lab.awaits("AutoscalingActive", "True", "Scaling", elastic.name, limit=STALE)
        elastic.awaits_ready(3, limit=STARTED)
        assert seen.steps == [3]
        elastic.gpu(0)
        elastic.awaits(1, limit=LESS)


def _await_busy(elastic: Elastic, percent: int) -> None:
    """Until three pods are ready, each with a GPU of which NVML says so."""
    elastic.awaits_ready(3, limit=STARTED)
    elastic.gpu(percent)
    until(lambda: elastic.value("GPUUtilization") == percent, limit=90, what=f"{percent} % in the metrics", pause=0.5)


def _await_unknown(elastic: Elastic) -> None:
    def unknown() -> bool:
        return elastic.lab.condition("AutoscalingActive", elastic.name)[0] == "Unknown"

    until(unknown, limit=STALE, what="AutoscalingActive=Unknown", pause=0.5)


def _held(seconds: float) -> None:
    end = time.monotonic() + seconds
    until(lambda: time.monotonic() >= end, limit=seconds + 5, what="the end of the watch", pause=0.5)


@contextmanager
def _stopped(elastic: Elastic) -> Iterator[None]:
    """The servers of all pods stand still: connections are accepted, and nothing is ever answered."""
    pids = _pids(elastic)
    kind.in_node("kill", "-STOP", *pids)
    try:
        yield
    finally:
        kind.in_node("kill", "-CONT", *pids)


def _pids(elastic: Elastic) -> list[str]:
    """Of the servers, as the node counts."""
    rows = [row.split() for row in kind.in_node("ctr", "-n", "k8s.io", "tasks", "list").splitlines()]
    tasks = {row[0]: row[1] for row in rows if len(row) == 3}  # name, process, state
    found = [pod["status"]["containerStatuses"][0]["containerID"] for pod in elastic.pods()]
    return [tasks[name.partition("://")[2]] for name in found]
