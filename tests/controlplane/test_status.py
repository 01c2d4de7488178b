"""What status says, for pods that kwok plays and reports that the test writes."""

import pytest

from tests.controlplane.lab import Lab, condition
from tests.support.kube import SCIM, AuditLog
from tests.support.operators import Installed
from tests.support.pods import INEFFECTIVE, PROBE_FAILED, AdminPort, said

pytestmark = [pytest.mark.controlplane, pytest.mark.usefixtures("operator")]


def test_a_model_that_serves_says_where_and_what(lab: Lab, admin: AdminPort) -> None:
    lab.create(replicas=2)
    status = lab.settled()["status"]
    assert status["url"] == f"http://hbb.{lab.namespace}.svc.cluster.local"
    assert (status["replicas"], status["readyReplicas"]) == (2, 2)
    assert status["checkpoint"]["digest"] == "sha256:aa11"
    assert status["checkpoint"]["targetModules"] == ["down_proj", "q_proj"]
    assert condition({"status": status}, "CheckpointVerified")[:2] == ("True", "Verified")
    assert condition({"status": status}, "AdapterEffective")[:2] == ("True", "Effective")
    assert condition({"status": status}, "Progressing")[:2] == ("True", "RolledOut")


def test_each_step_of_the_way_is_an_event(lab: Lab, admin: AdminPort) -> None:
    lab.create()
    lab.settled()
    lab.edit(profile="tpu-of-tomorrow")
    lab.awaits("Ready", "False", "InvalidSpec")
    said_so: list[tuple[str, str]] = []

    def told() -> bool:
        found = lab.kube.request("GET", f"/apis/events.k8s.io/v1/namespaces/{lab.namespace}/events").json()["items"]
        about = [each for each in found if each["regarding"]["kind"] == "ScientificModel"]
        said_so[:] = [(each["type"], each["reason"]) for each in sorted(about, key=lambda each: each["eventTime"])]
        return ("Warning", "InvalidSpec") in said_so

    lab.eventually(told, "the event")
    assert said_so[0] == ("Normal", "Creating")
    assert ("Normal", "Serving") in said_so
    assert len(said_so) == len(set(said_so)), "nothing is told twice"


def test_ready_pods_without_a_report_do_not_make_a_model_ready(lab: Lab, admin: AdminPort) -> None:
    admin.say(503)
    lab.create()
    lab.awaits("Ready", "Unknown", "AwaitingReport")
    assert "checkpoint" not in lab.model()["status"]
    admin.say(said())
    lab.awaits("Ready", "True", "Serving", limit=90)


def test_an_adapter_that_changes_nothing_never_becomes_ready(lab: Lab, admin: AdminPort) -> None:
    admin.say(INEFFECTIVE)
    lab.create()
    message = lab.awaits("AdapterEffective", "False", "AdapterIneffective")
    assert "changes nothing" in message
    assert lab.condition("Ready")[:2] == ("False", "AdapterIneffective")


def test_a_failed_probe_generation_never_becomes_ready(lab: Lab, admin: AdminPort) -> None:
    admin.say(PROBE_FAILED)
    lab.create()
    lab.awaits("Ready", "False", "ProbeFailed")


def test_pods_that_loaded_different_files_are_told_of(lab: Lab, admin: AdminPort) -> None:
    def differs(address: str) -> dict[str, object]:
        digest = f"sha256:{address.replace('.', '')}"
        return said(checkpoint={**said()["checkpoint"], "digest": digest})

    admin.answer = differs
    lab.create(replicas=2)
    message = lab.awaits("CheckpointVerified", "False", "CheckpointChanged")
    assert "a folder of its own" in message


def test_an_unknown_profile_is_the_owners_turn_and_running_pods_stay(lab: Lab, admin: AdminPort) -> None:
    lab.create()
    model = lab.settled()
    before = {pod["metadata"]["uid"] for pod in lab.pods(model)}
    deployment = lab.children(model)["Deployment"]["metadata"]["resourceVersion"]
    lab.edit(profile="tpu-of-tomorrow")
    message = lab.awaits("Ready", "False", "InvalidSpec")
    assert "spec.profile" in message
    assert "cpu" in message, "it offers what there is"
    assert {pod["metadata"]["uid"] for pod in lab.pods(model)} == before
    assert lab.children(model)["Deployment"]["metadata"]["resourceVersion"] == deployment
    assert lab.model()["status"]["url"] == model["status"]["url"]


def test_a_corrected_profile_serves_again(lab: Lab, admin: AdminPort) -> None:
    lab.create(profile="typo")
    lab.awaits("Ready", "False", "InvalidSpec")
    lab.edit(profile=None)
    lab.settled()


def test_a_model_scaled_to_zero_says_so_and_comes_back(lab: Lab, admin: AdminPort) -> None:
    lab.create(replicas=0)
    assert "spec.replicas" in lab.awaits("Ready", "False", "ScaledToZero")
    lab.edit(replicas=1)
    lab.settled()


def test_pods_that_fit_on_no_node_name_what_is_short(lab: Lab, admin: AdminPort) -> None:
    lab.create(profile="nvidia-gpu")
    message = lab.awaits("Ready", "False", "Unschedulable")
    assert "nvidia.com/gpu" in message or "node" in message


def test_pods_that_a_quota_refuses_are_told_of(lab: Lab, admin: AdminPort) -> None:
    quota = {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": {"name": "none", "namespace": lab.namespace},
        "spec": {"hard": {"pods": "0"}},
    }
    lab.kube.request("POST", f"/api/v1/namespaces/{lab.namespace}/resourcequotas", quota)
    lab.create()
    assert "exceeded quota" in lab.awaits("Ready", "False", "PodsRefused")


def test_a_transition_time_moves_only_with_its_status(lab: Lab, admin: AdminPort) -> None:
    lab.create()
    first = _times(lab)
    lab.edit(serving={"maxQueue": 5})
    lab.eventually(lambda: lab.model()["status"]["observedGeneration"] == 2, "the edit to be seen")
    lab.settled()
    assert _times(lab)["AdapterEffective"] >= first["AdapterEffective"]
    settled = _times(lab)
    lab.edit(replicas=2)
    lab.settled()
    assert _times(lab)["Ready"] == settled["Ready"], "it served all the time"


def _times(lab: Lab) -> dict[str, str]:
    return {each["type"]: each["lastTransitionTime"] for each in lab.settled()["status"]["conditions"]}


def test_nothing_is_written_about_a_model_at_rest(
    lab: Lab, admin: AdminPort, audit: AuditLog, installed: Installed
) -> None:
    lab.create()
    lab.settled()
    audit.mark()
    # Something that the operator must look at and that changes nothing: a label on the model.
    lab.kube.patch(SCIM, "hbb", lab.namespace, {"metadata": {"labels": {"team": "genetics"}}})
    other = lab.create("other")
    lab.settled("other")
    about = {write.name for write in audit.writes(installed.user, lab.namespace)}
    assert about == {other["metadata"]["name"]}
