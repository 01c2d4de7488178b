"""What the chart lets its programs do."""

import json
from pathlib import Path

import pytest

from forge_operator.cluster import kinds
from tests.chart.sets import every_set, of_kind, of_operator, values_set
from tests.support.operators import component, rendered


@every_set
def test_permissions_are_the_least(values: Path) -> None:
    for role in [*of_kind("Role", values), *of_kind("ClusterRole", values)]:
        for rule in role["rules"]:
            words = {*rule["apiGroups"], *rule["resources"], *rule["verbs"]}
            assert not words & {"*", "pods/exec", "escalate", "bind", "impersonate"}, rule
            # The operator has no Secret; the metrics server has one, its own, which the chart makes.
            if "secrets" in words:
                [secret] = of_kind("Secret", values)
                assert component(role) == component(secret) == "metrics-api"
                assert rule["resourceNames"] == [secret["metadata"]["name"]]
                assert role["metadata"]["namespace"] == secret["metadata"]["namespace"]


def test_permissions_are_those_that_the_code_uses() -> None:
    [role] = [
        r for r in of_operator("ClusterRole", values_set("default")) if "aggregate" not in json.dumps(r["metadata"])
    ]
    granted = {
        (group, resource): set(rule["verbs"])
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
    }
    writes = {"get", "list", "watch", "create", "patch", "delete"}
    reads = {"get", "list", "watch"}
    assert granted == {
        **{(kind.group, kind.plural): writes for kind in kinds.CHILDREN.values()},
        # Of a backend that is not chosen: what is left of it is found and removed.
        (kinds.SCALED_OBJECT.group, kinds.SCALED_OBJECT.plural): reads | {"delete"},
        ("apps", "deployments/scale"): {"patch"},
        ("", kinds.POD.plural): reads,
        (kinds.EVENT.group, kinds.EVENT.plural): {"create"},
        (kinds.MODEL.group, kinds.MODEL.plural): reads,
        (kinds.MODEL.group, f"{kinds.MODEL.plural}/status"): {"patch"},
        (kinds.MODEL.group, f"{kinds.MODEL.plural}/finalizers"): {"update"},
        ("apiextensions.k8s.io", "customresourcedefinitions"): {"get"},
    }


@pytest.mark.parametrize(
    ("backend", "makes"),
    [("hpa", {"horizontalpodautoscalers"}), ("keda", {"scaledobjects"}), ("none", set())],
)
def test_only_autoscalers_of_the_chosen_backend_may_be_made(backend: str, makes: set[str]) -> None:
    things = rendered("forge-system", f"autoscaling.backend={backend}")
    rules = [rule for thing in things if thing["kind"] == "ClusterRole" for rule in thing["rules"]]
    scaling = [rule for rule in rules if rule["apiGroups"][0] in ("autoscaling", "keda.sh")]
    assert {name for rule in scaling if "create" in rule["verbs"] for name in rule["resources"]} == makes
    assert all("delete" in rule["verbs"] for rule in scaling)


def test_with_namespaces_nothing_but_the_definition_is_read_across_the_cluster() -> None:
    values = values_set("watch-namespaces")
    own = [role for role in of_operator("ClusterRole", values) if "aggregate" not in json.dumps(role["metadata"])]
    assert [rule["resources"] for role in own for rule in role["rules"]] == [["customresourcedefinitions"]]
    bound = {binding["metadata"]["namespace"] for binding in of_operator("RoleBinding", values)}
    assert bound == {"lab-a", "lab-b", "forge-system"}
