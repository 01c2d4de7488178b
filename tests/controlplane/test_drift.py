"""What others change at our objects: ours is put back at once, theirs is left alone."""

import time
from collections.abc import Mapping
from typing import Any

import pytest

from forge_operator.children.shape import INTENT_ANNOTATION, MODEL_ANNOTATION
from tests.controlplane.lab import Lab
from tests.support.kube import CHILDREN, AuditLog, Manifest
from tests.support.operators import Installed
from tests.support.waiting import until

pytestmark = [pytest.mark.controlplane, pytest.mark.usefixtures("operator", "admin")]

REPAIRED_WITHIN = 2.0  # seconds, promised


def _container(**change: Any) -> dict[str, Any]:
    return {"spec": {"template": {"spec": {"containers": [{"name": "server", **change}]}}}}


# kind, what somebody writes (a strategic merge patch where it exists)
EDITS: list[tuple[str, dict[str, Any]]] = [
    ("Deployment", {"spec": {"replicas": 5}}),
    ("Deployment", {"spec": {"revisionHistoryLimit": 9}}),
    ("Deployment", {"spec": {"strategy": {"rollingUpdate": {"maxSurge": 7}}}}),
    ("Deployment", {"spec": {"template": {"spec": {"automountServiceAccountToken": True}}}}),
    ("Deployment", {"spec": {"template": {"spec": {"securityContext": {"runAsUser": 1}}}}}),
    ("Deployment", {"spec": {"template": {"spec": {"terminationGracePeriodSeconds": 900}}}}),
    ("Deployment", _container(image="elsewhere.example/other:1")),
    ("Deployment", _container(env=[{"name": "FORGE_MAX_QUEUE", "value": "1"}])),
    ("Deployment", _container(resources={"limits": {"memory": "1Mi"}, "requests": {"memory": "1Mi"}})),
    ("Deployment", _container(securityContext={"readOnlyRootFilesystem": False})),
    ("Deployment", _container(livenessProbe={"failureThreshold": 1})),
    ("Deployment", {"metadata": {"annotations": {INTENT_ANNOTATION: "forged"}}}),
    ("Service", {"spec": {"selector": {"serving.scientificllm.io/model-uid": "another"}}}),
    ("Service", {"spec": {"ports": [{"port": 80, "targetPort": 9999}]}}),
    ("Service", {"spec": {"type": "NodePort"}}),
    ("Service", {"metadata": {"annotations": {MODEL_ANNOTATION: "another"}}}),
    ("Service", {"metadata": {"labels": {"app.kubernetes.io/component": "another"}}}),
    ("ServiceAccount", {"automountServiceAccountToken": True}),
    ("NetworkPolicy", {"spec": {"policyTypes": ["Ingress"]}}),
    ("NetworkPolicy", {"spec": {"ingress": []}}),
    ("PodDisruptionBudget", {"spec": {"maxUnavailable": 2}}),
]


@pytest.fixture
def quiet(lab: Lab) -> Manifest:
    """A model at rest, with every kind of child."""
    lab.create(replicas=2)
    return lab.settled()


@pytest.mark.parametrize(("kind", "edit"), EDITS, ids=[f"{kind} {edit}"[:70] for kind, edit in EDITS])
def test_an_edited_field_is_put_back(lab: Lab, quiet: Manifest, kind: str, edit: dict[str, Any]) -> None:
    before = lab.children(quiet)[kind]
    edited = lab.kube.patch(kind, before["metadata"]["name"], lab.namespace, edit, strategic=True)
    assert _owned(edited) != _owned(before), "the edit must be one"
    until(
        lambda: _owned(lab.children(quiet)[kind]) == _owned(before),
        limit=REPAIRED_WITHIN,
        what=f"{kind} to be as it was",
        pause=0.02,
    )


def _owned(child: Mapping[str, Any]) -> dict[str, Any]:
    """What we speak of: all but what the server and its controllers keep."""
    meta = {key: child["metadata"].get(key) for key in ("labels", "ownerReferences")}
    ours = {key: text for key, text in child["metadata"]["annotations"].items() if "scientificllm.io" in key}
    rest = {key: child[key] for key in child if key not in ("metadata", "status")}
    # Allocated by the server once the type asks for it, and released with it.
    return {**rest, "metadata": {**meta, "annotations": ours}}


@pytest.mark.parametrize("kind", CHILDREN)
def test_a_deleted_child_is_made_again(lab: Lab, quiet: Manifest, kind: str) -> None:
    before = lab.children(quiet)[kind]["metadata"]
    start = time.monotonic()
    lab.kube.delete(kind, before["name"], lab.namespace)

    def back() -> bool:
        now = lab.children(quiet).get(kind)
        return now is not None and now["metadata"]["uid"] != before["uid"]

    until(back, limit=REPAIRED_WITHIN, what=f"a new {kind}", pause=0.02)
    assert time.monotonic() - start < REPAIRED_WITHIN + 0.5


def test_an_owner_reference_that_somebody_removed_is_not_fought_over(lab: Lab, quiet: Manifest) -> None:
    """Without it the object is nobody's: we say NameConflict rather than take what somebody took away."""
    name = lab.children(quiet)["Service"]["metadata"]["name"]
    lab.kube.patch("Service", name, lab.namespace, {"metadata": {"ownerReferences": None}})
    message = lab.awaits("Ready", "False", "NameConflict")
    assert "Service" in message


FOREIGN: list[tuple[str, dict[str, Any]]] = [
    ("Deployment", {"metadata": {"labels": {"team": "genetics"}, "annotations": {"note": "ours too"}}}),
    ("Deployment", {"spec": {"template": {"metadata": {"annotations": {"mesh.example/inject": "yes"}}}}}),
    ("Deployment", {"spec": {"template": {"spec": {"containers": [{"name": "mesh", "image": "mesh:1"}]}}}}),
    ("Deployment", _container(env=[{"name": "HTTPS_PROXY", "value": "http://proxy:3128"}])),
    ("Service", {"metadata": {"annotations": {"lb.example/internal": "true"}}}),
    ("Service", {"spec": {"sessionAffinity": "ClientIP"}}),
    ("ServiceAccount", {"metadata": {"annotations": {"cloud.example/role": "reader"}}}),
    ("NetworkPolicy", {"metadata": {"labels": {"audited": "yes"}}}),
    ("PodDisruptionBudget", {"metadata": {"annotations": {"note": "kept"}}}),
]


@pytest.mark.parametrize(("kind", "edit"), FOREIGN, ids=[f"{kind} {edit}"[:70] for kind, edit in FOREIGN])
def test_what_others_add_is_kept_without_a_fight(
    lab: Lab, quiet: Manifest, audit: AuditLog, installed: Installed, kind: str, edit: dict[str, Any]
) -> None:
    name = lab.children(quiet)[kind]["metadata"]["name"]
    lab.kube.patch(kind, name, lab.namespace, edit, strategic=True)
    lab.settled()
    # Wake the operator for sure, and see that its next look at the model finds nothing to do to the child.
    lab.edit(replicas=3)
    lab.settled()
    live = lab.children(quiet)[kind]
    assert _has(live, edit)
    child = kind.lower().removesuffix("y")
    fought = [w for w in audit.writes(installed.user, lab.namespace) if w.resource.startswith(child)]
    assert len(fought) <= (1 if kind == "Deployment" else 0), fought  # one: the new number of replicas


def _has(live: Any, edit: Any) -> bool:
    if isinstance(edit, dict):
        return all(key in live and _has(live[key], edit[key]) for key in edit)
    if isinstance(edit, list):
        return all(any(_has(have, want) for have in live) for want in edit)
    return bool(live == edit)
