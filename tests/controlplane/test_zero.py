"""Models at zero, with the real operator, the real activator, and Kubernetes' own controllers.

There is no kube-proxy: a client asks where the model's EndpointSlice sends it.
"""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from forge_operator.children.shape import child_name
from tests.controlplane import endpoints
from tests.controlplane.conftest import RELEASE
from tests.controlplane.lab import Lab
from tests.support import operators
from tests.support.kube import AuditLog, Kube
from tests.support.model_port import ModelPort, model_port
from tests.support.operators import Installed, Operator
from tests.support.pods import AdminPort, said

pytestmark = [pytest.mark.controlplane, pytest.mark.usefixtures("operator")]

MAY_SLEEP: dict[str, Any] = {"minReplicas": 0, "maxReplicas": 2, "idleSeconds": 5}
ACTIVATOR = f"{RELEASE}-scientificllm-forge-activator"
LIMIT = 60.0


@pytest.fixture(scope="module")
def activator(kube: Kube, installed: Installed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    """One for all tests of the module; it answers for the pods that kwok plays."""
    folder = tmp_path_factory.mktemp("activator")
    own = operators.as_account(kube, folder, RELEASE, ACTIVATOR, installed.settings)
    selector = "app.kubernetes.io/component=activator"
    with (
        operators.running(own, folder, module="forge_operator.activator") as process,
        endpoints.played(kube.kubeconfig, RELEASE, ACTIVATOR, selector, 9090),
    ):
        yield process


@pytest.fixture
def served(lab: Lab) -> Iterator[None]:
    """The pods of the model hbb are listed as Kubernetes would list them."""
    with endpoints.played(lab.kube.kubeconfig, lab.namespace, "hbb", "app.kubernetes.io/instance=hbb", 8000):
        yield


@pytest.fixture(scope="module")
def _model() -> Iterator[ModelPort]:
    with model_port() as port:
        yield port


@pytest.fixture
def model(_model: ModelPort) -> ModelPort:
    _model.answered.clear()
    _model.takes = 0.0
    return _model


def _replicas(lab: Lab) -> int:
    deployment = lab.child("Deployment")
    return int(deployment["spec"]["replicas"]) if deployment else -1


def _url(lab: Lab, name: str = "hbb") -> str | None:
    """Where requests are held; None while pods answer for themselves."""
    found = lab.kube.find("EndpointSlice", child_name(name), lab.namespace) or {}
    ends = found.get("endpoints") or []
    return f"http://{ends[0]['addresses'][0]}:{found['ports'][0]['port']}" if ends else None


def _asleep(lab: Lab, admin: AdminPort) -> str:
    """Wait for the model to go to zero; where to ask it then."""
    admin.say(said() | {"idleSeconds": 1000})
    try:
        lab.eventually(lambda: _replicas(lab) == 0, "the last pod to go", limit=LIMIT)
    except TimeoutError as error:
        error.add_note(f"it is {lab.model()['status']}; the slice is {lab.child('EndpointSlice')}")
        raise
    admin.say(said() | {"idleSeconds": 0})
    lab.awaits("Ready", "Unknown", "Idle", limit=LIMIT)
    url = _url(lab)
    assert url, "the activator stands in"
    # Until then a pod that is about to leave may answer, and nobody needs to be woken.
    lab.eventually(lambda: "asleep" in httpx.get(f"{url}/api/v1/health", trust_env=False).text, "no pod to be ready")
    return url


def _ask(url: str, text: str) -> str:
    """The whole answer. Raises when there is none, or half of one."""
    with httpx.Client(trust_env=False, timeout=60) as client:
        return client.post(f"{url}/api/v1/generate", content=json.dumps({"text": text})).raise_for_status().text


def _whole(text: str) -> str:
    return f"data: begin\n\ndata: {text}\n\ndata: end\n\n"


@pytest.mark.usefixtures("activator", "served")
def test_an_idle_model_goes_to_zero_and_a_request_wakes_it(lab: Lab, admin: AdminPort, model: ModelPort) -> None:
    lab.create(autoscaling=MAY_SLEEP)
    lab.ready()
    lab.eventually(lambda: _url(lab) is None, "pods to answer for themselves")
    url = _asleep(lab, admin)
    lab.eventually(lambda: lab.model()["status"]["replicas"] == 0, "the pod to be gone")
    assert _ask(url, "HBB") == _whole("HBB")
    lab.ready()
    assert _replicas(lab) == 1
    found = lab.kube.request("GET", f"/apis/events.k8s.io/v1/namespaces/{lab.namespace}/events").json()["items"]
    told = {each["reason"]: each["note"] for each in found if each["regarding"]["kind"] == "ScientificModel"}
    assert told["Woken"] == "Woken by a request."
    assert "Idle" in told


@pytest.mark.usefixtures("activator", "served")
def test_fifty_clients_at_zero_are_all_answered(lab: Lab, admin: AdminPort, model: ModelPort) -> None:
    lab.create(autoscaling=MAY_SLEEP)
    lab.ready()
    url = _asleep(lab, admin)
    texts = [f"gene-{number}" for number in range(50)]
    with ThreadPoolExecutor(50) as clients:
        assert list(clients.map(lambda text: _ask(url, text), texts)) == [_whole(text) for text in texts]
    assert model.answered == dict.fromkeys(texts, 1), "each was sent once"


@pytest.mark.slow
@pytest.mark.usefixtures("activator", "served")
def test_twenty_times_to_zero_and_back_no_request_is_lost(lab: Lab, admin: AdminPort, model: ModelPort) -> None:
    lab.create(autoscaling=MAY_SLEEP)
    lab.ready()
    for cycle in range(20):
        url = _asleep(lab, admin)
        texts = [f"{cycle}-{number}" for number in range(5)]
        with ThreadPoolExecutor(5) as clients:
            assert list(clients.map(_ask, [url] * 5, texts)) == [_whole(text) for text in texts]
        lab.ready()
    assert sum(model.answered.values()) == 100


@pytest.mark.usefixtures("activator", "served")
def test_asleep_nothing_is_written(lab: Lab, admin: AdminPort, audit: AuditLog, installed: Installed) -> None:
    lab.create(autoscaling=MAY_SLEEP)
    lab.ready()
    _asleep(lab, admin)
    lab.eventually(lambda: lab.model()["status"]["replicas"] == 0, "the pod to be gone")
    lab.awaits("Progressing", "True", "RolledOut")
    audit.mark()
    lab.create("another")
    lab.ready("another")
    assert [write for write in audit.writes(installed.user, lab.namespace) if write.name == "hbb"] == []


@pytest.mark.usefixtures("activator")
def test_without_an_activator_no_model_goes_to_zero(kube: Kube, lab: Lab, admin: AdminPort) -> None:
    kube.ctl("scale", f"deployment/{ACTIVATOR}", "--replicas=0", "-n", RELEASE)
    try:
        lab.create(autoscaling=MAY_SLEEP)
        admin.say(said() | {"idleSeconds": 1000})
        lab.awaits("AutoscalingActive", "Unknown", "ActivatorMissing", limit=LIMIT)
        lab.ready()
    finally:
        kube.ctl("scale", f"deployment/{ACTIVATOR}", "--replicas=1", "-n", RELEASE)
    lab.eventually(lambda: _replicas(lab) == 0, "the last pod to go", limit=LIMIT)
