"""The activator, as helm renders it."""

import pytest
import yaml

from forge_operator import settings
from forge_operator.activator.__main__ import DRAIN_SECONDS
from forge_operator.children.activation import PORTS
from tests.support.kube import Manifest
from tests.support.operators import component, rendered


def objects(*values: str) -> dict[str, Manifest]:
    """Kind to object; of several of one kind the last."""
    found = rendered("forge-system", *values)
    return {thing["kind"]: thing for thing in found if component(thing) == "activator"}


def config(*values: str) -> Manifest:
    found = rendered("forge-system", *values)
    text = next(thing for thing in found if thing["kind"] == "ConfigMap")["data"]["config.yaml"]
    return dict(yaml.safe_load(text))


@pytest.mark.parametrize("off", ["autoscaling.activator.enabled=false", "autoscaling.backend=none"])
def test_where_no_model_goes_to_zero_there_is_none(off: str) -> None:
    assert objects(off) == {}


def test_it_may_do_what_the_code_does_and_no_more() -> None:
    rules = objects()["ClusterRole"]["rules"]
    granted = {(rule["apiGroups"][0], rule["resources"][0]): set(rule["verbs"]) for rule in rules}
    assert granted == {
        ("discovery.k8s.io", "endpointslices"): {"list", "watch"},
        ("apps", "deployments/scale"): {"get", "patch"},
        ("serving.scientificllm.io", "scientificmodels"): {"get"},
        ("events.k8s.io", "events"): {"create"},
    }


def test_with_namespaces_it_may_do_so_in_these_alone() -> None:
    found = [t for t in rendered("forge-system", "watchNamespaces={lab-a}") if component(t) == "activator"]
    assert not [thing for thing in found if thing["kind"] == "ClusterRole"]
    roles = {thing["metadata"]["namespace"]: thing["rules"] for thing in found if thing["kind"] == "Role"}
    assert len(roles["lab-a"]) == 4
    assert len(roles["forge-system"]) == 1, "where the operator learns of its pods"


def test_everyone_may_reach_the_models_ports() -> None:
    [rule] = objects()["NetworkPolicy"]["spec"]["ingress"]
    assert "from" not in rule
    assert rule["ports"][0] == {"port": PORTS.start, "endPort": PORTS.stop - 1, "protocol": "TCP"}


def test_the_operator_knows_its_service() -> None:
    service = objects()["Service"]
    pods = objects()["Deployment"]["spec"]["template"]["metadata"]["labels"]
    assert service["spec"]["selector"].items() <= pods.items()
    assert config()["autoscaling"]["activator"]["service"] == service["metadata"]["name"]


def test_a_request_that_was_held_to_the_last_has_time_for_its_answer() -> None:
    spec = objects("autoscaling.activator.holdSeconds=900")["Deployment"]["spec"]["template"]["spec"]
    pause = spec["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert spec["terminationGracePeriodSeconds"] > pause + 900 + DRAIN_SECONDS


def test_its_pods_are_replaced_one_by_one() -> None:
    found = objects("autoscaling.activator.replicas=2")
    assert found["Deployment"]["spec"]["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
    assert found["PodDisruptionBudget"]["spec"]["maxUnavailable"] == 1
    assert "PodDisruptionBudget" not in objects()


def test_its_settings_are_the_charts() -> None:
    found = settings.Autoscaling.model_validate(config("autoscaling.activator.maxHeld=7")["autoscaling"])
    assert (found.activator.max_held, found.activator.hold_seconds) == (7, 300)
