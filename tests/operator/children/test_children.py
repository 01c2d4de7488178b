"""What a model needs in its namespace."""

import json
import random
from typing import Any

import pytest
import yaml

from forge_operator.api.v1alpha1 import REVISION_ANNOTATION, URL_ANNOTATION, Manifest
from forge_operator.children import desired
from forge_operator.children.shape import INTENT_ANNOTATION, MANAGED_BY, digest
from forge_operator.errors import InvalidSpec
from tests.golden import ROOT, matches_golden
from tests.support.models import UID, a_model, some_settings

GOLDEN = {
    "least": {},
    "everything": {
        "name": "team.a-very-long-name-" + "x" * 60,
        "profile": "gpu",
        "replicas": 3,
        "quantization": {"method": "none", "computeDtype": "float16"},
        "serving": {"maxModelLen": 8192, "maxQueue": 8, "requestTimeoutSeconds": 600, "tasks": ["papers", "genomics"]},
        "science": {
            "lexicons": [
                {"configMap": {"name": "lab-genes", "key": "genes.tsv"}},
                {"source": {"uri": "pvc://models/ontologies/mondo.obo"}},
            ],
            "calibration": [{"configMap": {"name": "profiles", "key": "yes-no.json"}}],
        },
    },
}


def _child(kind: str, settings: Any = None, **changes: Any) -> Manifest:
    return next(c for c in desired(a_model(**changes), settings or some_settings()) if c["kind"] == kind)


def _pod_spec(settings: Any = None, **changes: Any) -> dict[str, Any]:
    spec: dict[str, Any] = _child("Deployment", settings, **changes)["spec"]["template"]["spec"]
    return spec


@pytest.mark.parametrize("case", GOLDEN)
def test_the_children_are_those_of_the_reviewed_file(case: str) -> None:
    settings = some_settings(imagePullSecrets=["registry"]) if case == "everything" else some_settings()
    text = yaml.safe_dump_all(desired(a_model(**GOLDEN[case]), settings), sort_keys=False, width=110)
    assert matches_golden(ROOT / f"tests/golden/children-{case}.yaml", text), "REFRESH_GOLDEN=1 rewrites it"


def test_they_come_in_the_order_in_which_to_apply_them() -> None:
    kinds = [child["kind"] for child in desired(a_model(replicas=2), some_settings())]
    assert kinds == ["ServiceAccount", "NetworkPolicy", "Service", "Deployment", "PodDisruptionBudget"]


@pytest.mark.parametrize("replicas", [0, 1])
def test_one_pod_has_no_disruption_budget_because_it_would_block_every_drain(replicas: int) -> None:
    kinds = [child["kind"] for child in desired(a_model(replicas=replicas), some_settings())]
    assert "PodDisruptionBudget" not in kinds


def test_every_child_is_owned_labelled_and_carries_a_hash_of_itself() -> None:
    key, value = MANAGED_BY.split("=")
    for child in desired(a_model(replicas=2), some_settings()):
        meta = child["metadata"]
        assert meta["labels"][key] == value
        assert [(o["uid"], o["controller"], o["blockOwnerDeletion"]) for o in meta["ownerReferences"]] == [
            (UID, True, True)
        ]
        intent = meta["annotations"].pop(INTENT_ANNOTATION)
        assert intent == digest(child)


def test_the_selector_is_the_uid_alone_and_so_never_needs_to_change() -> None:
    wanted = {"serving.scientificllm.io/model-uid": UID}
    assert _child("Deployment")["spec"]["selector"]["matchLabels"] == wanted
    assert _child("Service")["spec"]["selector"] == wanted
    assert wanted.items() <= _child("Deployment")["spec"]["template"]["metadata"]["labels"].items()


def test_the_same_input_in_another_order_gives_the_same_objects() -> None:
    settings = some_settings().model_dump(by_alias=True, exclude_none=True)

    def shuffled(value: Any) -> Any:
        if isinstance(value, dict):
            keys = random.Random(3).sample(sorted(value), len(value))
            return {key: shuffled(value[key]) for key in keys}
        return value

    again = some_settings(**shuffled(settings))
    first = [c["metadata"]["annotations"] for c in desired(a_model(profile="gpu"), some_settings())]
    assert first == [c["metadata"]["annotations"] for c in desired(a_model(profile="gpu"), again)]


@pytest.mark.parametrize(
    "change", [{"workers": 3}, {"logLevel": "debug"}, {"podAccess": "proxy"}, {"clusterDomain": "lab.example"}]
)
def test_no_setting_of_the_operator_itself_restarts_a_pod(change: dict[str, Any]) -> None:
    before, after = _child("Deployment"), _child("Deployment", some_settings(**change))
    assert before["spec"] == after["spec"]


@pytest.mark.parametrize(
    ("spec", "new"),
    [({"replicas": 5}, False), ({"serving": {"maxQueue": 5}}, True), ({"checkpoint": {"uri": "pvc://m/2"}}, True)],
)
def test_the_revision_changes_when_pods_have_to(spec: dict[str, Any], new: bool) -> None:
    def revision(**changes: Any) -> str:
        template = _child("Deployment", **changes)["spec"]["template"]
        return str(template["metadata"]["annotations"][REVISION_ANNOTATION])

    assert (revision() != revision(**spec)) is new


def test_an_unknown_profile_is_refused_with_the_names_that_exist() -> None:
    with pytest.raises(InvalidSpec, match=r"^spec\.profile: .*'tpu'.*: cpu, gpu$"):
        desired(a_model(profile="tpu"), some_settings())


def test_with_an_accelerator_no_pod_waits_for_the_device_that_an_older_one_holds() -> None:
    strategy = _child("Deployment", profile="gpu")["spec"]["strategy"]["rollingUpdate"]
    assert strategy == {"maxSurge": 0, "maxUnavailable": 1}
    assert _child("Deployment")["spec"]["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}


def test_the_profile_shapes_the_pod() -> None:
    pod = _pod_spec(profile="gpu")
    resources = pod["containers"][0]["resources"]
    assert resources["limits"] == {"nvidia.com/gpu": "1"}
    assert resources["requests"] == {"cpu": "2", "memory": "8Gi", "nvidia.com/gpu": "1"}
    assert (pod["nodeSelector"], pod["runtimeClassName"]) == ({"lab/gpu": "yes"}, "nvidia")


def test_the_pod_meets_the_restricted_pod_security_standard() -> None:
    pod = _pod_spec()
    container = pod["containers"][0]["securityContext"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["capabilities"] == {"drop": ["ALL"]}
    assert (container["allowPrivilegeEscalation"], container["readOnlyRootFilesystem"]) == (False, True)
    assert {kind for volume in pod["volumes"] for kind in volume} == {"name", "persistentVolumeClaim", "emptyDir"}
    assert pod["automountServiceAccountToken"] is False


def test_a_pod_that_leaves_has_time_for_its_longest_request() -> None:
    pod = _pod_spec(serving={"requestTimeoutSeconds": 600})
    waits = pod["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert pod["terminationGracePeriodSeconds"] > waits + 600 + 5


def test_volumes_are_read_only_twice() -> None:
    pod = _pod_spec()
    claims = [v["persistentVolumeClaim"] for v in pod["volumes"] if "persistentVolumeClaim" in v]
    assert claims == [{"claimName": "models", "readOnly": True}] * 2
    mounts = {mount["mountPath"]: mount.get("readOnly") for mount in pod["containers"][0]["volumeMounts"]}
    assert mounts == {"/checkpoint": True, "/base": True, "/tmp": None}


def test_only_the_operators_namespace_reaches_the_admin_port_and_nothing_leaves() -> None:
    policy = _child("NetworkPolicy", some_settings(operatorNamespace="ops"))["spec"]
    ports = {rule["ports"][0]["port"]: rule.get("from") for rule in policy["ingress"]}
    operator = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "ops"}}}
    assert ports == {8000: None, 8081: [operator]}
    assert "egress" not in policy
    assert "Egress" in policy["policyTypes"]


def test_prometheus_reaches_the_admin_port_from_the_namespaces_that_were_named() -> None:
    settings = some_settings(operatorNamespace="ops", metricsNamespaces=["monitoring", "ops"])
    admin = _child("NetworkPolicy", settings)["spec"]["ingress"][1]
    names = [each["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"] for each in admin["from"]]
    assert names == ["ops", "monitoring"]


def test_the_url_stands_on_the_deployment() -> None:
    annotations = _child("Deployment", some_settings(clusterDomain="c.example"))["metadata"]["annotations"]
    assert annotations[URL_ANNOTATION] == "http://hbb-expert.lab.svc.c.example"


def test_nothing_is_sent_that_the_api_server_would_not_store() -> None:
    def empties(value: Any, path: str) -> list[str]:
        if value in ("", None) or value in ({}, []):
            return [path]
        if isinstance(value, dict):
            return [found for key, child in value.items() for found in empties(child, f"{path}.{key}")]
        if isinstance(value, list):
            return [found for n, child in enumerate(value) for found in empties(child, f"{path}[{n}]")]
        return []

    bare = some_settings(profiles={"cpu": {}})
    # An empty `resources` is stored as {}, whoever sends it.
    found = [path for child in desired(a_model(), bare) for path in empties(child, child["kind"])]
    assert found == ["Deployment.spec.template.spec.containers[0].resources"]


def test_manifests_are_plain_json() -> None:
    children = desired(a_model(), some_settings())
    assert json.loads(json.dumps(children)) == children
