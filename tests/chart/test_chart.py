"""The chart as helm renders it, for every set of values in ci/."""

import json
import re
import tomllib
from collections.abc import Iterator
from functools import reduce
from pathlib import Path
from typing import Any

import pytest
import yaml

from forge_operator import settings
from tests.chart.sets import SETS, Manifest, every_set, objects, of_kind, of_operator, values_set
from tests.golden import matches_golden
from tests.harness import schemas
from tests.harness.errors import HarnessError
from tests.harness.places import ROOT
from tests.harness.steps import run
from tests.harness.toolchain import program
from tests.support.operators import CHART, component, rendered


def test_there_are_enough_sets_of_values() -> None:
    assert len(SETS) >= 8


@every_set
def test_helm_lints_it(values: Path) -> None:
    assert "0 chart(s) failed" in run([program("helm"), "lint", "--strict", CHART, "--values", values])


@every_set
def test_kubernetes_knows_every_field(values: Path, tmp_path: Path) -> None:
    assert _conforming(tmp_path, objects(values)) == ""


def test_a_field_that_kubernetes_does_not_know_is_found(tmp_path: Path) -> None:
    [deployment] = of_operator("Deployment", values_set("default"))
    wrong = {**deployment, "spec": {**deployment["spec"], "replicsa": 3}}
    with pytest.raises(HarnessError, match="replicsa"):
        _conforming(tmp_path, [wrong])


def _conforming(folder: Path, things: list[Manifest]) -> str:
    """What kubeconform has to say against them: nothing, or HarnessError."""
    path = folder / "manifests.yaml"
    path.write_text(yaml.safe_dump_all(things))
    return run([program("kubeconform"), "-strict", "-schema-location", f"{schemas.folder()}/{schemas.TEMPLATE}", path])


@every_set
def test_the_operator_reads_the_settings_that_it_renders(values: Path, tmp_path: Path) -> None:
    [config] = [thing for thing in of_kind("ConfigMap", values) if "config.yaml" in thing["data"]]
    path = tmp_path / "config.yaml"
    path.write_text(config["data"]["config.yaml"])
    found = settings.load(path)
    assert found.operator_namespace == "forge-system"
    assert found.default_profile in found.profiles


@every_set
def test_every_pod_obeys_the_restricted_standard(values: Path) -> None:
    pods = [thing["spec"]["template"]["spec"] for thing in of_kind("Deployment", values)]
    pods += [thing["spec"] for thing in of_kind("Pod", values)]
    assert len(pods) >= 2
    for pod in pods:
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in pod["containers"]:
            security = container["securityContext"]
            assert security["allowPrivilegeEscalation"] is False
            assert security["readOnlyRootFilesystem"] is True
            assert security["capabilities"] == {"drop": ["ALL"]}


@every_set
def test_selectors_find_the_pods_of_their_own_program_and_no_others(values: Path) -> None:
    labels = {
        component(thing): thing["spec"]["template"]["metadata"]["labels"].items()
        for thing in of_kind("Deployment", values)
    }
    [test] = of_kind("Pod", values)
    labels["test"] = test["metadata"]["labels"].items()
    selectors = [
        (component(thing), thing["spec"]["selector"]["matchLabels"]) for thing in of_kind("Deployment", values)
    ]
    selectors += [(component(thing), thing["spec"]["selector"]) for thing in of_kind("Service", values)]
    for kind, field in (("NetworkPolicy", "podSelector"), ("PodDisruptionBudget", "selector")):
        selectors += [(component(thing), thing["spec"][field]["matchLabels"]) for thing in of_kind(kind, values)]
    for owner, selector in selectors:
        assert [name for name, has in labels.items() if selector.items() <= has] == [owner]


def test_without_crds_there_is_no_definition() -> None:
    assert of_kind("CustomResourceDefinition", values_set("no-crds")) == []


def test_digests_win_over_tags() -> None:
    values = values_set("digest")
    for deployment in of_kind("Deployment", values):
        assert re.search(r"operator@sha256:a+$", deployment["spec"]["template"]["spec"]["containers"][0]["image"])
    [config] = [thing for thing in of_kind("ConfigMap", values) if "config.yaml" in thing["data"]]
    assert re.search(r"inference@sha256:b+$", yaml.safe_load(config["data"]["config.yaml"])["image"])


def test_names_stay_legal_whatever_the_release_is_called() -> None:
    for release in ("a" * 53, "forge", "scientificllm-forge-of-the-genetics-laboratory-no-5", "lab.five"):
        for thing in rendered(release):
            name = thing["metadata"]["name"]
            if "rbac" in thing["apiVersion"] or thing["kind"] in ("CustomResourceDefinition", "APIService", "Secret"):
                assert len(name) <= 253
            else:
                assert re.fullmatch(r"[a-z][a-z0-9-]{,61}[a-z0-9]", name)


def test_the_chart_has_the_version_of_the_programs() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert chart["version"] == chart["appVersion"] == project["version"]


def test_the_settings_take_effect_when_they_change() -> None:
    def checksums(values: Path) -> dict[str, str]:
        return {
            component(thing): thing["spec"]["template"]["metadata"]["annotations"]["checksum/config"]
            for thing in of_kind("Deployment", values)
        }

    before, after = checksums(values_set("default")), checksums(values_set("gpu-profiles"))
    assert before.keys() == after.keys()
    assert not before.items() & after.items()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("replicsa=3", "replicsa"),
        ("profiles.cpu.limts.memory=1Gi", "limts"),
        ("podAccess=magic", "podAccess"),
        ("profiles.cpu.accelerator.resorce=nvidia.com/gpu", "resorce"),
        ("defaultProfile=tpu", 'defaultProfile: no profile is named "tpu"; defined are cpu, nvidia-gpu'),
        ("image.digest=latest", "image/digest"),
        ("workers=0", "workers"),
        ("workers=65", "workers"),
        ("image.pullPolicy=Sometimes", "pullPolicy"),
        ("watchNamespaces=lab", "watchNamespaces"),
        ("sources.schemes={pvc,ftp}", "sources/schemes/1"),
        ("sources.timeoutSeconds=5", "timeoutSeconds"),
        ("sources.host=huggingface.co", "host"),
        ("autoscaling.backend=vpa", "autoscaling/backend"),
        ("autoscaling.prometheusAddress=prometheus:9090", "prometheusAddress"),
        ("autoscaling.metricsServer.replicas=0", "metricsServer/replicas"),
    ],
)
def test_a_value_that_cannot_be_meant_is_refused_by_name(change: str, words: str) -> None:
    with pytest.raises(HarnessError, match=words):
        rendered("forge-system", change)


def test_every_value_changes_what_is_rendered(tmp_path: Path) -> None:
    monitoring = ("serviceMonitor", "podMonitor", "rules", "dashboard")
    switches = {("metrics", name, "enabled"): True for name in monitoring}
    switches[("metrics", "podMonitor", "prometheusNamespaces")] = ["monitoring"]

    def after(path: tuple[str, ...], change: Any) -> list[Manifest]:
        values = tmp_path / "values.yaml"
        changed = {**switches, path: change} if path else switches
        values.write_text(json.dumps(reduce(_merged, (_nested(*each) for each in changed.items()))))
        return rendered("forge-system", file=values, monitored=True)

    unchanged = after((), None)
    for path, change in _changes(json.loads((CHART / "values.schema.json").read_text())):
        other = not switches[path] if isinstance(switches.get(path), bool) else change
        assert after(path, other) != unchanged, f"no template uses {'.'.join(path)}"


def _nested(path: tuple[str, ...], value: Any) -> Manifest:
    return dict(reduce(lambda inner, name: {name: inner}, reversed(path), value))


def _merged(one: Manifest, other: Manifest) -> Manifest:
    shared = [name for name in one.keys() & other.keys() if isinstance(one[name], dict)]
    return {**one, **other, **{name: _merged(one[name], other[name]) for name in shared}}


def _changes(schema: Manifest, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Each value's path, and something that it may be but is not."""
    every = schema.get("additionalProperties") or {}
    below = schema.get("properties") or ({"cpu": every} if "properties" in every else {})
    for name, part in below.items():
        if name != "global":
            yield from _changes(part, (*path, name))
    if not below:
        yield path, _other(schema, reduce(dict.get, path, yaml.safe_load((CHART / "values.yaml").read_text())))


def _other(schema: Manifest, default: Any) -> Any:
    if "enum" in schema:
        return next(word for word in schema["enum"] if word != default)
    if default == "cpu":
        return "nvidia-gpu"  # the default profile must be one of those that are defined
    if schema["type"] == "boolean":
        return not default
    if "https?" in schema.get("pattern", ""):
        return "https://other.example"
    if schema["type"] == "array":
        item = schema.get("items", {})
        return item.get("enum", [7 if item.get("type") == "integer" else "other"])[-1:]
    return {"string": f"sha256:{'c' * 64}", "integer": max(7, schema.get("minimum", 7)), "object": {"other": "1"}}[
        schema["type"]
    ]


def test_the_default_rendering_is_the_golden_one() -> None:
    things = [thing for thing in objects(values_set("default")) if thing["kind"] != "CustomResourceDefinition"]
    text = yaml.safe_dump_all(things, sort_keys=False)
    assert matches_golden(ROOT / "tests/chart/golden/default.yaml", text), "run this test with REFRESH_GOLDEN=1"
