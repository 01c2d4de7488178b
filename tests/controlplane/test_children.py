"""The objects that the operator makes of a model."""

from typing import Any

import pytest

from forge_operator.children.shape import FIELD_MANAGER, MODEL_ANNOTATION, child_name
from tests.controlplane.lab import Lab
from tests.support.kube import CHILDREN, SCIM, Kube, Manifest, a_manifest
from tests.support.operators import Operator
from tests.support.pods import AdminPort

pytestmark = [pytest.mark.controlplane, pytest.mark.usefixtures("operator", "admin")]


def test_each_child_is_applied_under_our_name_and_owned_by_the_model(lab: Lab) -> None:
    model = lab.create(replicas=2)
    lab.settled()
    children = lab.children(model)
    assert list(children) == list(CHILDREN)
    for child in children.values():
        [owner] = child["metadata"]["ownerReferences"]
        assert (owner["uid"], owner["controller"]) == (model["metadata"]["uid"], True)
        managers = {each["manager"]: each["operation"] for each in child["metadata"]["managedFields"]}
        assert managers[FIELD_MANAGER] == "Apply"


def test_the_model_itself_gets_no_finalizer_and_no_annotation(lab: Lab) -> None:
    lab.create()
    meta = lab.settled()["metadata"]
    assert "finalizers" not in meta
    assert "annotations" not in meta


def test_children_go_with_their_model(lab: Lab) -> None:
    model = lab.create(replicas=2)
    lab.settled()
    lab.kube.delete(SCIM, "hbb", lab.namespace)
    lab.eventually(lambda: not lab.children(model) and not lab.pods(model), "the garbage collector to be done")


def test_a_deleted_models_successor_of_the_same_name_gets_children_of_its_own(lab: Lab) -> None:
    first = lab.create()
    lab.settled()
    lab.kube.delete(SCIM, "hbb", lab.namespace)
    second = lab.create()
    lab.eventually(lambda: not lab.children(first), "the first one's children to go")
    lab.settled()
    assert set(lab.children(second)) == set(CHILDREN) - {"PodDisruptionBudget"}


def test_a_budget_exists_only_while_there_is_more_than_one_replica(lab: Lab) -> None:
    lab.create(replicas=2)
    lab.settled()
    assert lab.child("PodDisruptionBudget")
    lab.edit(replicas=1)
    lab.eventually(lambda: lab.child("PodDisruptionBudget") is None, "the budget to go")


@pytest.mark.parametrize("name", ["n" * 253, "7b.lab.example", "x" * 53, "9", "a.b"])
def test_a_model_of_any_legal_name_is_served(lab: Lab, name: str) -> None:
    lab.create(name)
    lab.ready(name)
    deployment = lab.child("Deployment", name)
    assert deployment
    assert deployment["metadata"]["annotations"][MODEL_ANNOTATION] == name


def test_names_that_agree_in_their_first_63_characters_do_not_meet(lab: Lab) -> None:
    names = ["m" * 70 + "-one", "m" * 70 + "-two"]
    for name in names:
        lab.create(name)
    for name in names:
        lab.ready(name)
    assert len(lab.kube.list("Service", lab.namespace)) == 2
    assert len({child_name(name) for name in names}) == 2


def test_equal_names_in_two_namespaces_do_not_meet(lab: Lab, kube: Kube) -> None:
    with Lab.created(kube) as other:
        lab.create(replicas=2)
        other.create(replicas=0)
        lab.settled()
        other.awaits("Ready", "False", "ScaledToZero")
        mine, theirs = lab.child("Deployment"), other.child("Deployment")
        assert mine
        assert theirs
        assert (mine["spec"]["replicas"], theirs["spec"]["replicas"]) == (2, 0)
        other.kube.delete(SCIM, "hbb", other.namespace)
        other.eventually(lambda: other.child("Deployment") is None, "the other one's children to go")
        assert lab.child("Deployment")


def test_an_object_of_somebody_else_is_not_taken_over(lab: Lab) -> None:
    theirs = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "hbb", "namespace": lab.namespace, "labels": {"team": "genetics"}},
        "spec": {"selector": {"app": "theirs"}, "ports": [{"port": 80}]},
    }
    before = lab.kube.create(theirs)
    lab.create()
    message = lab.awaits("Ready", "False", "NameConflict")
    assert "Service" in message
    assert "hbb" in message
    after = lab.child("Service")
    assert after
    assert after["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"]


def test_a_name_conflict_ends_by_itself_when_the_other_object_goes(lab: Lab) -> None:
    other: Manifest = {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"name": "hbb", "namespace": lab.namespace},
    }
    lab.kube.create(other)
    lab.create()
    lab.awaits("Ready", "False", "NameConflict")
    lab.kube.delete("ServiceAccount", "hbb", lab.namespace)
    lab.awaits("Ready", "True", "Serving", limit=90)


def test_pods_are_created_where_restricted_pod_security_is_enforced(kube: Kube) -> None:
    levels: dict[str, str] = {
        f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn", "audit")
    }
    with Lab.created(kube, levels) as lab:
        lab.create(replicas=2)
        model = lab.settled()
        assert len(lab.pods(model)) == 2
        # The server warns at a Deployment whose pods it would refuse: ask it again as a person.
        deployment = lab.children(model)["Deployment"]
        kube.warnings.clear()
        kube.create(_again(deployment, "asked-again"), dryRun="All")
        assert kube.warnings == []


def test_the_same_question_about_a_careless_pod_is_answered_with_a_warning(kube: Kube) -> None:
    with Lab.created(kube, {"pod-security.kubernetes.io/warn": "restricted"}) as lab:
        lab.create()
        deployment = _again(lab.children(lab.settled())["Deployment"], "careless")
        del deployment["spec"]["template"]["spec"]["securityContext"]
        kube.warnings.clear()
        kube.create(deployment, dryRun="All")
        assert any("seccompProfile" in warning for warning in kube.warnings)


def _again(live: Manifest, name: str) -> Manifest:
    kept = {key: live["metadata"][key] for key in ("namespace", "labels", "annotations")}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {**kept, "name": name}, "spec": live["spec"]}


@pytest.mark.parametrize(
    ("change", "variable", "value"),
    [
        ({"serving": {"maxQueue": 3}}, "FORGE_MAX_QUEUE", "3"),
        ({"quantization": {"method": "none"}}, "FORGE_QUANTIZATION", "none"),
        ({"checkpoint": {"uri": "pvc://other/runs/2"}}, "FORGE_CHECKPOINT", "/checkpoint/runs/2"),
    ],
)
def test_an_edited_spec_rolls_new_pods_out(lab: Lab, change: dict[str, Any], variable: str, value: str) -> None:
    lab.create()
    before = {pod["metadata"]["uid"] for pod in lab.pods(lab.settled())}
    lab.edit(**change)
    [pod] = lab.pods(lab.settled())
    assert pod["metadata"]["uid"] not in before
    environment = {each["name"]: each.get("value", "") for each in pod["spec"]["containers"][0]["env"]}
    assert environment[variable] == value


def test_scaling_keeps_the_pods_that_run(lab: Lab, kube: Kube) -> None:
    lab.create()
    before = {pod["metadata"]["uid"] for pod in lab.pods(lab.settled())}
    kube.ctl("scale", "scim/hbb", "--replicas=3", "-n", lab.namespace)
    after = {pod["metadata"]["uid"] for pod in lab.pods(lab.settled())}
    assert before < after
    assert len(after) == 3


def test_the_scale_subresource_tells_an_autoscaler_which_pods_to_count(lab: Lab, kube: Kube) -> None:
    lab.create(replicas=2)
    model = lab.settled()
    path = f"/apis/serving.scientificllm.io/v1alpha1/namespaces/{lab.namespace}/scientificmodels/hbb/scale"
    scale = kube.request("GET", path).json()
    assert scale["status"]["replicas"] == 2
    found = kube.list("Pod", lab.namespace, scale["status"]["selector"])
    assert {pod["metadata"]["uid"] for pod in found} == {pod["metadata"]["uid"] for pod in lab.pods(model)}


def test_the_operator_stays_in_its_bounds_through_all_this(operator: Operator, admin: AdminPort) -> None:
    assert operator.answers("/livez")
    assert operator.measure() < 160  # MiB
    troubles = [line for line in operator.lines() if "forbidden" in str(line).lower()]
    assert troubles == []


def test_a_manifest_applied_again_changes_nothing(lab: Lab) -> None:
    lab.kube.apply(a_manifest("hbb", lab.namespace))
    before = lab.settled()["metadata"]["resourceVersion"]
    lab.kube.apply(a_manifest("hbb", lab.namespace))
    assert lab.model()["metadata"]["resourceVersion"] == before
