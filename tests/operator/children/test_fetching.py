"""What a pod has when its files must be fetched, and what of it only then."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from forge_operator.api.v1alpha1 import REVISION_ANNOTATION, Manifest
from forge_operator.children import desired
from forge_operator.errors import SourceDenied
from tests.golden import ROOT, matches_golden
from tests.support.models import a_model, some_settings

OPEN = {"schemes": ["pvc", "hf", "s3", "https", "oci"], "hosts": ["huggingface.co", "*.lab.example"]}
HUB = {"uri": "hf://org/base", "revision": "v1", "sha256": "ab" * 32}
BUCKET = {"uri": "s3://runs/genes", "secretRef": {"name": "bucket-keys"}}


def _children(sources: dict[str, Any] | None = None, **spec: Any) -> dict[str, Manifest]:
    settings = some_settings(sources={**OPEN, **(sources or {})})
    return {child["kind"]: child for child in desired(a_model(**spec), settings)}


def _pod(sources: dict[str, Any] | None = None, **spec: Any) -> Manifest:
    pod: Manifest = _children(sources, **spec)["Deployment"]["spec"]["template"]["spec"]
    return pod


def _written(container: Manifest) -> dict[str, str]:
    return {each["name"]: each["value"] for each in container["env"]}


def test_the_children_of_a_model_that_fetches_both_are_those_of_the_reviewed_file() -> None:
    sources = {
        **OPEN,
        "mirrors": {"huggingface.co": "https://hub.lab.example"},
        "cache": {"claim": "forge-cache"},
        "caConfigMap": "lab-ca",
        "ports": [443, 9000],
    }
    children = desired(a_model(checkpoint=BUCKET, baseModel=HUB, profile="gpu"), some_settings(sources=sources))
    text = yaml.safe_dump_all(children, sort_keys=False, width=110)
    assert matches_golden(ROOT / "tests/golden/children-fetched.yaml", text), "REFRESH_GOLDEN=1 rewrites it"


def test_files_on_claims_are_mounted_as_before_whatever_the_administrator_allows() -> None:
    closed = {child["kind"]: child for child in desired(a_model(), some_settings())}
    assert _children({"cache": {"claim": "c"}, "caConfigMap": "ca"}) == closed
    assert "initContainers" not in _pod()


def test_only_what_is_not_on_a_claim_is_fetched() -> None:
    pod = _pod(checkpoint=BUCKET)
    assert [container["name"] for container in pod["initContainers"]] == ["fetch-checkpoint"]
    server = pod["containers"][0]
    written = _written(server)
    assert (written["FORGE_CHECKPOINT"], written["FORGE_BASE_MODEL"]) == ("/fetched/checkpoint", "/base/base")
    mounts = {mount["mountPath"]: mount.get("readOnly") for mount in server["volumeMounts"]}
    assert mounts == {"/base": True, "/fetched": True, "/tmp": None}


def test_a_secret_is_mounted_into_the_one_container_that_needs_it_and_may_come_later() -> None:
    pod = _pod(checkpoint=BUCKET, baseModel=HUB)
    [volume] = [volume for volume in pod["volumes"] if "secret" in volume]
    assert volume["secret"] == {"secretName": "bucket-keys", "optional": True}
    holders = [
        container["name"]
        for container in [*pod["initContainers"], *pod["containers"]]
        if volume["name"] in [mount["name"] for mount in container["volumeMounts"]]
    ]
    assert holders == ["fetch-checkpoint"]
    assert "FORGE_FETCH_CREDENTIALS" not in _written(pod["initContainers"][1])
    assert "secretKeyRef" not in json.dumps(pod)


def test_without_a_cache_a_mirror_or_an_authority_nothing_is_said_of_them() -> None:
    written = _written(_pod(checkpoint={"uri": "hf://org/run"})["initContainers"][0])
    absent = ("CACHE", "CREDENTIALS", "MIRRORS", "CA_FILE", "REVISION", "SHA256")
    assert [name for name in absent if f"FORGE_FETCH_{name}" in written] == []


def test_the_cache_is_written_by_fetchers_and_unknown_to_the_server() -> None:
    pod = _pod({"cache": {"claim": "forge-cache"}}, checkpoint=BUCKET)
    assert {"name": "cache", "mountPath": "/cache"} in pod["initContainers"][0]["volumeMounts"]
    assert "cache" not in [mount["name"] for mount in pod["containers"][0]["volumeMounts"]]


def test_fetchers_meet_the_restricted_standard_and_ask_for_no_device() -> None:
    for container in _pod(checkpoint=BUCKET, baseModel=HUB, profile="gpu")["initContainers"]:
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "runAsNonRoot": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert container["resources"] == {"requests": {"cpu": "2", "memory": "8Gi"}}


def test_the_program_that_fetches_is_where_the_image_has_it() -> None:
    [program, *_] = _pod(checkpoint=BUCKET)["initContainers"][0]["command"]
    entry = next(line for line in (ROOT / "inference/Dockerfile").read_text().splitlines() if "ENTRYPOINT" in line)
    assert json.loads(entry.removeprefix("ENTRYPOINT "))[0] == program
    assert Path(program).is_absolute()


def test_the_nodes_disk_has_room_for_each_archive_and_what_is_in_it() -> None:
    def room(**spec: Any) -> str:
        [volume] = [v for v in _pod({"maxBytes": "10Gi"}, **spec)["volumes"] if v["name"] == "fetched"]
        return str(volume["emptyDir"]["sizeLimit"])

    assert room(checkpoint=BUCKET) == str(20 * 2**30)
    assert room(checkpoint=BUCKET, baseModel=HUB) == str(40 * 2**30)


def test_a_rollout_may_take_as_long_as_fetching_may() -> None:
    def deadline(**spec: Any) -> int:
        return int(_children({"timeoutSeconds": 7000}, **spec)["Deployment"]["spec"]["progressDeadlineSeconds"])

    assert deadline(checkpoint=BUCKET, baseModel=HUB) == deadline() + 14_000


def test_only_pods_that_fetch_have_egress_and_never_to_the_clouds_own_addresses() -> None:
    assert "egress" not in _children()["NetworkPolicy"]["spec"]
    names, ports = _children({"ports": [443, 9000]}, checkpoint=BUCKET)["NetworkPolicy"]["spec"]["egress"]
    assert {(port["port"], port["protocol"]) for port in names["ports"]} == {(53, "UDP"), (53, "TCP")}
    assert [port["port"] for port in ports["ports"]] == [443, 9000]
    assert {except_ for to in ports["to"] for except_ in to.get("ipBlock", {}).get("except", [])} == {
        "169.254.0.0/16",
        "fe80::/10",
    }


def _revision(sources: dict[str, Any] | None = None, **spec: Any) -> str:
    template = _children(sources, **spec)["Deployment"]["spec"]["template"]
    return str(template["metadata"]["annotations"][REVISION_ANNOTATION])


@pytest.mark.parametrize(
    "change", [{"revision": "v2"}, {"sha256": "cd" * 32}, {"secretRef": {"name": "other"}}, {"uri": "hf://org/other"}]
)
def test_another_version_pin_or_secret_rolls_new_pods_out(change: dict[str, Any]) -> None:
    assert _revision(baseModel=HUB) != _revision(baseModel={**HUB, **change})


def test_allowing_one_more_scheme_restarts_nobody() -> None:
    assert _revision(baseModel=HUB) == _revision({"schemes": ["hf", "pvc"]}, baseModel=HUB)


@pytest.mark.parametrize(
    ("uri", "sources", "tells"),
    [
        ("s3://runs/1", {"schemes": ["pvc", "hf"]}, ["s3:// is not allowed", "pvc://, hf://", "sources.schemes"]),
        ("pvc://models/1", {"schemes": ["hf"]}, ["pvc:// is not allowed", "'pvc'"]),
        ("hf://org/run", {"hosts": []}, ["huggingface.co", "sources.hosts"]),
        ("https://evil.example/run.zip", {}, ["evil.example", "sources.hosts"]),
        ("https://lab.example/run.zip", {}, ["lab.example", "sources.hosts"]),
        ("oci://registry.lab.example:5000/run:1", {}, ["port 5000", "sources.ports"]),
    ],
)
def test_a_source_that_is_not_allowed_makes_nothing_and_names_the_value_to_ask_for(
    uri: str, sources: dict[str, Any], tells: list[str]
) -> None:
    with pytest.raises(SourceDenied, match=r"^spec\.checkpoint\.uri: ") as refusal:
        _children(sources, checkpoint={"uri": uri}, baseModel={"uri": "hf://org/base"})
    assert [word for word in tells if word not in str(refusal.value)] == []


@pytest.mark.parametrize(
    ("uri", "sources"),
    [
        ("https://files.lab.example/run.zip", {}),
        ("https://anywhere.example/run.zip", {"hosts": ["*"]}),
        ("oci://registry.example:5000/run:1", {"mirrors": {"registry.example": "https://mirror.lab.example"}}),
        ("s3://runs/1", {"hosts": []}),
    ],
)
def test_patterns_mirrors_and_unnamed_endpoints_are_let_through(uri: str, sources: dict[str, Any]) -> None:
    assert "Deployment" in _children(sources, checkpoint={"uri": uri})
