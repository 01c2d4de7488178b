"""The backend `keda`, with KEDA's own definitions and without KEDA itself."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.controlplane.lab import Lab
from tests.harness import schemas
from tests.support import operators
from tests.support.kube import AuditLog, Kube
from tests.support.operators import Installed, running
from tests.support.pods import AdminPort

pytestmark = pytest.mark.controlplane

HPA = "HorizontalPodAutoscaler"
WISH = {"minReplicas": 0, "maxReplicas": 5, "metrics": [{"type": "LatencyP95", "target": 2}]}
ENDS_WITHIN = 60.0  # seconds: discovery looks every 30


@pytest.fixture(scope="module")
def chosen(kube: Kube, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """The chart with KEDA as the backend, under a name of its own."""
    folder = tmp_path_factory.mktemp("keda")
    return operators.install(kube, folder, "forge-keda", "autoscaling.backend=keda")


@pytest.fixture(scope="module")
def definition(kube: Kube) -> Iterator[None]:
    """KEDA's definition of ScaledObject."""
    crd = schemas.keda()
    name = crd["metadata"]["name"]
    kube.apply(crd)
    kube.ctl("wait", "--for=condition=Established", "--timeout=90s", f"crd/{name}")
    yield
    kube.delete("CustomResourceDefinition", name)


# The first test runs before the definition is there.
def test_without_keda_the_model_serves_and_says_what_is_missing_until_it_comes(
    kube: Kube, lab: Lab, chosen: Installed, admin: AdminPort, folder: Path, request: pytest.FixtureRequest
) -> None:
    with running(chosen, folder) as operator:
        lab.create(autoscaling=WISH)
        lab.ready()
        message = lab.awaits("AutoscalingActive", "False", "AutoscalerMissing")
        assert "Install KEDA" in message
        request.getfixturevalue("definition")
        assert operator.wait(ENDS_WITHIN) == 1, "a restart is how it begins to watch"
        assert any("ScaledObject" in line["message"] for line in operator.lines())
    with running(chosen, folder):
        lab.eventually(lambda: lab.child("ScaledObject"), "the ScaledObject")
        lab.awaits("AutoscalingActive", "Unknown", "Waiting")


def test_its_definition_takes_what_we_write_and_keeps_it(
    lab: Lab, chosen: Installed, definition: None, admin: AdminPort, folder: Path, audit: AuditLog
) -> None:
    with running(chosen, folder):
        lab.create(autoscaling=WISH)
        lab.settled()
        found = lab.child("ScaledObject")
        assert found
        assert found["spec"]["scaleTargetRef"]["name"] == "hbb"
        assert [each["name"] for each in found["spec"]["triggers"]] == ["LatencyP95", "Activity"]
        assert lab.child(HPA) is None, "KEDA makes one of its own"
        audit.mark()
        lab.kube.patch("ScaledObject", "hbb", lab.namespace, {"spec": {"maxReplicaCount": 50}})
        lab.eventually(lambda: (lab.child("ScaledObject") or {})["spec"]["maxReplicaCount"] == 5, "the repair")
        lab.create("other")
        lab.settled("other")
        written = [w for w in audit.writes(chosen.user, lab.namespace) if w.name == "hbb"]
        assert [write.resource for write in written] == ["scaledobjects"], "put back once, and not fought over"


def test_another_backend_removes_what_the_one_before_made(
    lab: Lab, chosen: Installed, installed: Installed, definition: None, admin: AdminPort, folder: Path
) -> None:
    with running(chosen, folder):
        lab.create(replicas=2, autoscaling=WISH)
        lab.settled()
        assert lab.child("ScaledObject")
    with running(installed, folder):
        lab.eventually(lambda: lab.child(HPA) and lab.child("ScaledObject") is None, "the exchange")
    with running(chosen, folder):
        lab.eventually(lambda: lab.child("ScaledObject") and lab.child(HPA) is None, "the exchange back")
    with running(installed, folder, autoscaling={"backend": "none"}):
        lab.awaits("AutoscalingActive", "False", "AutoscalingDisabled")
        assert lab.child("ScaledObject") is None
        lab.settled()
        assert len(lab.pods(lab.model())) == 2, "spec.replicas counts"
