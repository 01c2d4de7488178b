"""The metrics server behind a real API server, and the real autoscaler on its values: up, and holding still."""

import base64
import ssl
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from forge_operator.children.shape import MODEL_UID_LABEL
from forge_operator.metrics_api.certificates import LIFE, issued
from forge_operator.metrics_api.documents import API_SERVICES
from tests.controlplane.lab import Lab
from tests.support import metrics_server
from tests.support.expositions import Exposition
from tests.support.kube import Kube, Manifest, RefusedError
from tests.support.metrics_server import Registered, available, values
from tests.support.operators import Installed, Operator
from tests.support.pods import AdminPort
from tests.support.ports import free_port
from tests.support.scalable import autoscaler, deployment
from tests.support.waiting import until

pytestmark = pytest.mark.controlplane

RELEASE, QUEUE = "forge-system", "forge_queue_depth"
TARGET = 4
LIMIT = 60.0  # seconds: a round, a sync of the autoscaler and a fake pod's start take ten; the machine may be busy
HOLDS = 20.0  # seconds: ten looks of the autoscaler, with nothing that would slow it down


@pytest.fixture(scope="module")
def place(kube: Kube, installed: Installed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registered]:
    with metrics_server.registered(kube, tmp_path_factory.mktemp("registered"), RELEASE) as found:
        yield found


@pytest.fixture
def server(kube: Kube, place: Registered, folder: Path) -> Iterator[Operator]:
    with metrics_server.running(kube, place, folder) as found:
        yield found


@pytest.fixture
def scaled(lab: Lab, admin: AdminPort) -> "Scaled":
    admin.metrics = lambda _: Exposition(waiting=0).text
    return Scaled(lab, admin)


class Scaled:
    """Pods as the operator makes them, and an autoscaler of them that hesitates as little as it can."""

    def __init__(self, lab: Lab, admin: AdminPort) -> None:
        self.lab, self._admin = lab, admin
        at_once = {"stabilizationWindowSeconds": 0, "policies": [{"type": "Pods", "value": 9, "periodSeconds": 1}]}
        lab.kube.create(deployment("hbb", lab.namespace, f"uid-{lab.namespace}"))
        lab.kube.create(autoscaler("hbb", lab.namespace, QUEUE, TARGET, scaleUp=at_once, scaleDown=at_once))

    def wait_in_each(self, prompts: float) -> None:
        """What every pod says from now on."""
        text = Exposition(waiting=prompts).text
        self._admin.metrics = lambda _: text

    def say(self, metrics: Callable[[str], str | None]) -> None:
        self._admin.metrics = metrics

    @property
    def replicas(self) -> int:
        return int(self.lab.kube.get("Deployment", "hbb", self.lab.namespace)["spec"]["replicas"])

    @property
    def active(self) -> str:
        """Whether the autoscaler says that it sees its metric."""
        found = self.lab.kube.get("HorizontalPodAutoscaler", "hbb", self.lab.namespace)
        return condition(found)

    def awaits(self, replicas: int) -> None:
        """So many, all of them with a value."""
        until(lambda: self.replicas == replicas, limit=LIMIT, what=f"{replicas} replicas, not {self.replicas}")
        until(self._all_told, limit=LIMIT, what="a value of each of them")

    def _all_told(self) -> bool:
        return len(values(self.lab.kube, self.lab.namespace, QUEUE) or {}) == self.replicas

    def grown(self) -> None:
        """Three replicas that have exactly what they should have."""
        self.wait_in_each(3 * TARGET)
        until(lambda: self.replicas >= 3, limit=LIMIT, what="the autoscaler to add pods")
        self.wait_in_each(TARGET)
        self.awaits(self.replicas)

    def holds(self, replicas: int, seconds: float = HOLDS) -> None:
        """Look for so long, and see nothing else."""
        end = datetime.now(UTC) + timedelta(seconds=seconds)

        def over() -> bool:
            assert self.replicas == replicas
            return datetime.now(UTC) > end

        until(over, limit=seconds + LIMIT, what="the end of the watch", pause=0.5)

    def blind(self) -> None:
        """Until the autoscaler says that it sees nothing."""
        until(lambda: self.active == "False", limit=LIMIT, what=f"ScalingActive=False, it is {self.active}")

    def seeing(self) -> None:
        until(lambda: self.active == "True", limit=LIMIT, what=f"ScalingActive=True, it is {self.active}")


def condition(autoscaler: Manifest) -> str:
    conditions = autoscaler.get("status", {}).get("conditions", [])
    return next((str(each["status"]) for each in conditions if each["type"] == "ScalingActive"), "")


def test_the_autoscaler_follows_the_queue_up_and_down(server: Operator, scaled: Scaled) -> None:
    scaled.awaits(1)
    scaled.wait_in_each(3 * TARGET)
    until(lambda: scaled.replicas == 3, limit=LIMIT, what="three replicas")
    scaled.wait_in_each(TARGET)
    scaled.awaits(scaled.replicas)
    before = scaled.replicas
    scaled.holds(before)
    scaled.wait_in_each(0)
    scaled.awaits(1)


def test_what_is_served_is_read_through_the_api_server(
    kube: Kube, server: Operator, scaled: Scaled, place: Registered
) -> None:
    scaled.wait_in_each(2.5)
    scaled.awaits(1)
    until(
        lambda: list((values(kube, scaled.lab.namespace, QUEUE) or {}).values()) == ["2500m"], limit=LIMIT, what="2.5"
    )
    listed = kube.ctl("get", "--raw", "/apis/custom.metrics.k8s.io/v1beta1")
    assert f"pods/{QUEUE}" in listed
    about = f"namespaces/{scaled.lab.namespace}/scientificmodels.serving.scientificllm.io/hbb/{QUEUE}"
    found = kube.request("GET", f"/apis/custom.metrics.k8s.io/v1beta2/{about}").json()
    assert [item["value"] for item in found["items"]] == ["2500m"]
    with pytest.raises(RefusedError, match="there is no metric cpu") as no:
        kube.request("GET", f"/apis/custom.metrics.k8s.io/v1beta2/namespaces/{scaled.lab.namespace}/pods/*/cpu")
    assert no.value.code == 404


def test_nobody_is_answered_without_the_api_server_or_without_permission(
    kube: Kube, server: Operator, scaled: Scaled, place: Registered
) -> None:
    path = f"/apis/custom.metrics.k8s.io/v1beta2/namespaces/{scaled.lab.namespace}/pods/*/{QUEUE}"
    with pytest.raises(Exception, match="cannot get resource"):
        kube.ctl("get", "--raw", path, "--as", "eve")
    with metrics_server.directly(place) as http:
        answer = http.get(path, headers={"X-Remote-User": "kube-admin", "X-Remote-Group": "system:masters"})
    assert (answer.status_code, answer.json()["reason"]) == (401, "Unauthorized")


def test_pods_that_hang_make_the_autoscaler_hold(server: Operator, scaled: Scaled) -> None:
    scaled.grown()
    replicas = scaled.replicas
    scaled.say(lambda _: None)
    scaled.blind()
    scaled.holds(replicas)
    scaled.wait_in_each(TARGET)
    scaled.seeing()
    scaled.holds(replicas)


def test_pods_that_say_nonsense_make_the_autoscaler_hold(server: Operator, scaled: Scaled) -> None:
    scaled.grown()
    replicas = scaled.replicas
    scaled.say(lambda _: Exposition(waiting=float("nan")).text)
    scaled.blind()
    scaled.holds(replicas)
    scaled.wait_in_each(TARGET)
    scaled.seeing()
    scaled.holds(replicas)


def test_a_pod_that_still_loads_is_no_idle_pod(kube: Kube, server: Operator, scaled: Scaled) -> None:
    scaled.grown()
    replicas, space = scaled.replicas, scaled.lab.namespace
    one = kube.list("Pod", space, f"{MODEL_UID_LABEL}=uid-{space}")[0]
    _says_it_is_ready(kube, one, "False")
    busy, idle = Exposition(waiting=TARGET).text, Exposition(waiting=0).text
    until(lambda: len(values(kube, space, QUEUE) or {}) == replicas - 1, limit=LIMIT, what="it not to be asked")
    scaled.say(lambda asked: idle if asked == one["status"]["podIP"] else busy)
    scaled.holds(replicas)
    _says_it_is_ready(kube, one, "True")
    scaled.wait_in_each(TARGET)
    scaled.awaits(replicas)


def _says_it_is_ready(kube: Kube, pod: Manifest, status: str) -> None:
    path = f"/api/v1/namespaces/{pod['metadata']['namespace']}/pods/{pod['metadata']['name']}/status"
    change = {"status": {"conditions": [{"type": "Ready", "status": status}]}}
    kube.request("PATCH", path, change, content="application/strategic-merge-patch+json")


def test_a_killed_server_makes_the_autoscaler_hold_until_another_one_is_there(
    kube: Kube, place: Registered, scaled: Scaled, folder: Path
) -> None:
    with metrics_server.running(kube, place, folder) as first:
        scaled.grown()
        replicas = scaled.replicas
        scaled.wait_in_each(0)  # if anybody believed a number now, pods would go
        first.kill()
    scaled.blind()
    scaled.holds(replicas)
    scaled.wait_in_each(TARGET)
    with metrics_server.running(kube, place, folder):
        scaled.seeing()
        scaled.holds(replicas)


def test_a_certificate_changes_without_a_restart_and_two_servers_share_it(
    kube: Kube, place: Registered, server: Operator, folder: Path
) -> None:
    port = free_port()
    with metrics_server.running(kube, place, folder, port=port):
        first = ssl.get_server_certificate(("localhost", place.port))
        assert ssl.get_server_certificate(("localhost", port)) == first
        old = issued([f"{place.service}.{place.namespace}.svc"], datetime.now(UTC) - LIFE + timedelta(days=20))
        data = {"tls.crt": old.certificate, "tls.key": old.key, "ca.crt": trusted(kube) + old.authority}
        encoded = {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}
        kube.patch("Secret", f"{place.service}-tls", place.namespace, {"data": encoded})

        def changed() -> bool:
            assert available(kube), "there was a moment in which it was not trusted"
            return all(ssl.get_server_certificate(("localhost", each)) != first for each in (place.port, port))

        until(changed, limit=2 * LIMIT, what="another certificate", pause=0.5)
    assert trusted(kube).count("BEGIN CERTIFICATE") >= 2


def trusted(kube: Kube) -> str:
    """The authorities that the API server knows, which are the same for both registrations."""
    [bundle] = {kube.get("APIService", name)["spec"]["caBundle"] for name in API_SERVICES}
    return base64.b64decode(bundle).decode()


def test_nothing_is_forbidden_to_it(server: Operator, scaled: Scaled) -> None:
    scaled.awaits(1)
    assert [line for line in server.lines() if "annot " in str(line) or line.get("level") == "error"] == []
