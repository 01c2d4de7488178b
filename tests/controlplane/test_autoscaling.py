"""Models that Kubernetes' own HorizontalPodAutoscaler scales, with its real controller.

No metrics server runs here, so what the controller does by itself is seen: it keeps the bounds, and holds otherwise.
"""

import time
from typing import Any

import pytest

from tests.controlplane.lab import LIMIT, Lab
from tests.support.kube import SCIM, AuditLog, Manifest
from tests.support.operators import Installed
from tests.support.waiting import until

pytestmark = [pytest.mark.controlplane, pytest.mark.usefixtures("operator", "admin")]

HPA = "HorizontalPodAutoscaler"
BLIND = ("AutoscalingActive", "Unknown", "MetricsMissing")
LOOKS = 6.0  # seconds, in which the controller of these tests looks three times


def _replicas(lab: Lab) -> int | None:
    """What the Deployment asks for; None while there is none."""
    deployment = lab.child("Deployment")
    return int(deployment["spec"]["replicas"]) if deployment else None


def _becomes(lab: Lab, number: int) -> None:
    lab.eventually(lambda: _replicas(lab) == number, f"{number} replicas")


def _stays(lab: Lab, number: int, seconds: float = LOOKS) -> None:
    end = time.monotonic() + seconds
    until(lambda: _replicas(lab) != number or time.monotonic() > end, limit=seconds + 5, what="the time to pass")
    assert _replicas(lab) == number


def _pods(lab: Lab) -> set[str]:
    return {pod["metadata"]["uid"] for pod in lab.pods(lab.model())}


def test_the_autoscaler_decides_and_the_operator_leaves_it_so(lab: Lab, audit: AuditLog, installed: Installed) -> None:
    lab.create(autoscaling={"minReplicas": 3, "maxReplicas": 5})
    _becomes(lab, 3)
    lab.settled()
    status = lab.model()["status"]["autoscaling"]
    assert (status["currentReplicas"], status["desiredReplicas"]) == (3, 3)
    assert status["lastDecision"] == "1 → 3: minReplicas is 3"
    assert [(each["type"], each["target"]) for each in status["metrics"]] == [("InFlight", 22.4)]
    written = [write for write in audit.writes(installed.user, lab.namespace) if write.resource == "deployments"]
    assert len(written) == 1, "it was created, and not touched again"


def test_a_decision_is_an_event(lab: Lab) -> None:
    lab.create(autoscaling={"minReplicas": 2, "maxReplicas": 5})

    def told() -> bool:
        found = lab.kube.request("GET", f"/apis/events.k8s.io/v1/namespaces/{lab.namespace}/events").json()["items"]
        notes = [each["note"] for each in found if each["reason"] == "Scaled" and each["regarding"]["kind"] == SCIM]
        return notes == ["1 → 2: minReplicas is 2"]

    lab.eventually(told, "the event")


def test_without_metrics_the_number_holds_and_the_condition_says_why(lab: Lab) -> None:
    lab.create(autoscaling={"maxReplicas": 5})
    lab.ready()
    lab.kube.ctl("scale", "deployment/hbb", "--replicas=4", "-n", lab.namespace)
    assert "No metrics server is registered" in lab.awaits(*BLIND)
    _stays(lab, 4)
    lab.awaits("Ready", "True", "Serving")


def test_another_change_of_the_spec_keeps_the_number(lab: Lab) -> None:
    lab.create(autoscaling={"maxReplicas": 5})
    lab.ready()
    lab.kube.ctl("scale", "deployment/hbb", "--replicas=4", "-n", lab.namespace)
    lab.settled()
    before = _pods(lab)
    lab.edit(serving={"maxQueue": 3})
    lab.settled()
    assert len(_pods(lab)) == 4
    assert not before & _pods(lab), "new pods, as many as before"


def test_switched_on_the_pods_that_run_stay_and_switched_off_the_spec_counts(lab: Lab) -> None:
    lab.create(replicas=4)
    lab.settled()
    before = _pods(lab)
    lab.edit(autoscaling={"minReplicas": 2, "maxReplicas": 6})
    lab.awaits(*BLIND)
    _stays(lab, 4)
    assert _pods(lab) == before
    assert lab.child("PodDisruptionBudget")
    lab.edit(autoscaling=None, replicas=3)
    lab.eventually(lambda: lab.child(HPA) is None, "the autoscaler to go")
    _becomes(lab, 3)
    lab.settled()
    assert _pods(lab) < before
    assert "autoscaling" not in lab.model()["status"]
    assert lab.condition("AutoscalingActive") == ("", "", "")


def test_a_model_that_was_stopped_starts_when_it_is_to_be_scaled(lab: Lab) -> None:
    lab.create(replicas=0)
    lab.awaits("Ready", "False", "ScaledToZero")
    lab.edit(autoscaling={"maxReplicas": 2})
    _becomes(lab, 1)
    lab.ready()


def test_scaling_the_model_itself_changes_nothing_while_it_is_scaled(lab: Lab) -> None:
    lab.create(autoscaling={"minReplicas": 2, "maxReplicas": 5})
    _becomes(lab, 2)
    lab.kube.ctl("scale", "scim/hbb", "--replicas=5", "-n", lab.namespace)
    assert lab.model()["spec"]["replicas"] == 5
    lab.settled()
    _stays(lab, 2)


def test_a_second_autoscaler_is_told_of(lab: Lab) -> None:
    lab.create(autoscaling={"maxReplicas": 5})
    lab.ready()
    theirs = lab.child(HPA)
    assert theirs
    lab.kube.create(
        {
            "apiVersion": "autoscaling/v2",
            "kind": HPA,
            "metadata": {"name": "theirs", "namespace": lab.namespace},
            "spec": {**theirs["spec"], "maxReplicas": 9},
        }
    )
    assert "theirs" in lab.awaits("AutoscalingActive", "False", "AutoscalerConflict")
    lab.kube.delete(HPA, "theirs", lab.namespace)
    lab.awaits(*BLIND)


EDITS: list[dict[str, Any]] = [
    {"spec": {"maxReplicas": 50}},
    {"spec": {"scaleTargetRef": {"name": "another"}}},
    {"spec": {"behavior": {"scaleDown": {"stabilizationWindowSeconds": 1}}}},
    {"spec": {"metrics": []}},
    {"metadata": {"labels": {"app.kubernetes.io/component": "another"}}},
]


@pytest.mark.parametrize("edit", EDITS, ids=lambda edit: str(edit)[:60])
def test_an_edited_autoscaler_is_put_back(lab: Lab, edit: Manifest) -> None:
    lab.create(autoscaling={"maxReplicas": 5})
    lab.ready()
    before = lab.child(HPA)
    assert before
    lab.kube.patch(HPA, "hbb", lab.namespace, edit)

    def as_before() -> bool:
        now = lab.child(HPA) or {}
        return bool(now["spec"] == before["spec"] and now["metadata"]["labels"] == before["metadata"]["labels"])

    until(as_before, limit=10, what="the autoscaler to be as it was", pause=0.02)


def test_a_deleted_autoscaler_is_made_again(lab: Lab) -> None:
    lab.create(autoscaling={"maxReplicas": 5})
    lab.ready()
    lab.kube.delete(HPA, "hbb", lab.namespace)
    until(lambda: lab.child(HPA), limit=10, what="a new autoscaler", pause=0.02)


def test_nothing_is_written_about_a_scaled_model_at_rest(lab: Lab, audit: AuditLog, installed: Installed) -> None:
    lab.create(autoscaling={"maxReplicas": 5, "metrics": [{"type": "LatencyP95", "target": 2.5}]})
    lab.settled()
    lab.awaits(*BLIND)
    audit.mark()
    _stays(lab, 1)
    lab.kube.patch(SCIM, "hbb", lab.namespace, {"metadata": {"labels": {"team": "genetics"}}})
    lab.create("other")
    lab.settled("other")
    assert "hbb" not in {write.name for write in audit.writes(installed.user, lab.namespace)}


def test_a_budget_lets_a_single_pod_go(lab: Lab) -> None:
    lab.create(autoscaling={"maxReplicas": 5})
    lab.settled()

    def allowed() -> bool:
        budget = lab.child("PodDisruptionBudget") or {}
        return bool(budget.get("status", {}).get("disruptionsAllowed") == 1)

    lab.eventually(allowed, "a drain to be allowed", limit=LIMIT)
