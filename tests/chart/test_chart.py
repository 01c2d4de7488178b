"""The chart as helm renders it, for every set of values in ci/."""

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from forge_operator import settings
from tests.golden import matches_golden
from tests.harness.errors import HarnessError
from tests.harness.places import ROOT
from tests.harness.steps import run
from tests.harness.toolchain import program
from tests.support.operators import CHART, rendered

SETS = sorted((CHART / "ci").glob("*-values.yaml"))
Manifest = dict[str, Any]

every_set = pytest.mark.parametrize("values", SETS, ids=lambda path: path.stem)


@cache
def objects(values: Path) -> list[Manifest]:
    return rendered("forge-system", file=values)


def of_kind(kind: str, values: Path) -> list[Manifest]:
    return [thing for thing in objects(values) if thing["kind"] == kind]


def values_set(name: str) -> Path:
    return CHART / "ci" / f"{name}-values.yaml"


def test_there_are_enough_sets_of_values() -> None:
    assert len(SETS) >= 8


@every_set
def test_helm_lints_it(values: Path) -> None:
    assert "0 chart(s) failed" in run([program("helm"), "lint", "--strict", CHART, "--values", values])


@every_set
def test_the_operator_reads_the_settings_that_it_renders(values: Path, tmp_path: Path) -> None:
    [config] = of_kind("ConfigMap", values)
    path = tmp_path / "config.yaml"
    path.write_text(config["data"]["config.yaml"])
    found = settings.load(path)
    assert found.operator_namespace == "forge-system"
    assert found.default_profile in found.profiles


@every_set
def test_every_pod_obeys_the_restricted_standard(values: Path) -> None:
    pods = [thing["spec"]["template"]["spec"] for thing in of_kind("Deployment", values)]
    pods += [thing["spec"] for thing in of_kind("Pod", values)]
    assert len(pods) == 2
    for pod in pods:
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in pod["containers"]:
            security = container["securityContext"]
            assert security["allowPrivilegeEscalation"] is False
            assert security["readOnlyRootFilesystem"] is True
            assert security["capabilities"] == {"drop": ["ALL"]}


@every_set
def test_permissions_are_the_least(values: Path) -> None:
    for role in [*of_kind("Role", values), *of_kind("ClusterRole", values)]:
        for rule in role["rules"]:
            words = {*rule["apiGroups"], *rule["resources"], *rule["verbs"]}
            assert not words & {"*", "secrets", "pods/exec", "escalate", "bind", "impersonate"}, role["metadata"][
                "name"
            ]


@every_set
def test_selectors_find_the_operators_pods(values: Path) -> None:
    [deployment] = of_kind("Deployment", values)
    labels = deployment["spec"]["template"]["metadata"]["labels"].items()
    [service] = of_kind("Service", values)
    policies = [policy["spec"]["podSelector"]["matchLabels"] for policy in of_kind("NetworkPolicy", values)]
    budgets = [budget["spec"]["selector"]["matchLabels"] for budget in of_kind("PodDisruptionBudget", values)]
    selectors = [deployment["spec"]["selector"]["matchLabels"], service["spec"]["selector"], *policies, *budgets]
    assert all(selector.items() <= labels for selector in selectors)
    [test] = of_kind("Pod", values)
    assert not service["spec"]["selector"].items() <= test["metadata"]["labels"].items()


def test_with_namespaces_nothing_but_the_definition_is_read_across_the_cluster() -> None:
    values = values_set("watch-namespaces")
    own = [role for role in of_kind("ClusterRole", values) if "aggregate" not in json.dumps(role["metadata"])]
    assert [rule["resources"] for role in own for rule in role["rules"]] == [["customresourcedefinitions"]]
    bound = {binding["metadata"]["namespace"] for binding in of_kind("RoleBinding", values)}
    assert bound == {"lab-a", "lab-b", "forge-system"}


def test_without_crds_there_is_no_definition() -> None:
    assert of_kind("CustomResourceDefinition", values_set("no-crds")) == []


def test_digests_win_over_tags() -> None:
    values = values_set("digest")
    [deployment] = of_kind("Deployment", values)
    assert re.search(r"operator@sha256:a+$", deployment["spec"]["template"]["spec"]["containers"][0]["image"])
    [config] = of_kind("ConfigMap", values)
    assert re.search(r"inference@sha256:b+$", yaml.safe_load(config["data"]["config.yaml"])["image"])


def test_names_stay_legal_whatever_the_release_is_called() -> None:
    for release in ("a" * 53, "forge", "scientificllm-forge-of-the-genetics-laboratory-no-5"):
        for thing in rendered(release):
            if thing["kind"] != "CustomResourceDefinition":
                assert len(thing["metadata"]["name"]) <= (253 if "Role" in thing["kind"] else 63)


def test_the_settings_take_effect_when_they_change() -> None:
    def checksum(values: Path) -> str:
        [deployment] = of_kind("Deployment", values)
        return str(deployment["spec"]["template"]["metadata"]["annotations"]["checksum/config"])

    assert checksum(values_set("default")) != checksum(values_set("gpu-profiles"))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("replicsa=3", "replicsa"),
        ("profiles.cpu.limts.memory=1Gi", "limts"),
        ("podAccess=magic", "podAccess"),
        ("workers=0", "workers"),
        ("image.pullPolicy=Sometimes", "pullPolicy"),
        ("watchNamespaces=lab", "watchNamespaces"),
    ],
)
def test_a_value_that_cannot_be_meant_is_refused_by_name(change: str, words: str) -> None:
    with pytest.raises(HarnessError, match=words):
        rendered("forge-system", change)


def test_every_value_is_used() -> None:
    text = "".join(path.read_text() for path in (CHART / "templates").rglob("*") if path.is_file())
    for path in _leaves(json.loads((CHART / "values.schema.json").read_text())):
        used = any(f".Values.{'.'.join(path[:length])}" in text for length in range(1, len(path) + 1))
        assert used, f"no template uses {'.'.join(path)}"


def _leaves(schema: Manifest, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    below = schema.get("properties")
    if not below:
        return [path]
    return [leaf for name, part in below.items() if name != "global" for leaf in _leaves(part, (*path, name))]


def test_the_default_rendering_is_the_golden_one() -> None:
    things = [thing for thing in objects(values_set("default")) if thing["kind"] != "CustomResourceDefinition"]
    text = yaml.safe_dump_all(things, sort_keys=False)
    assert matches_golden(ROOT / "tests/chart/golden/default.yaml", text), "run this test with REFRESH_GOLDEN=1"
