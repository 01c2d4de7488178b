"""Sources that are fetched: what the operator makes of them, where the administrator allows s3:// alone."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.controlplane.lab import Lab
from tests.support import operators
from tests.support.kube import AuditLog, Kube, Manifest
from tests.support.operators import Installed, Operator
from tests.support.pods import AdminPort, said

pytestmark = [pytest.mark.controlplane, pytest.mark.usefixtures("operator", "admin")]

SOURCES = {"schemes": ["pvc", "s3"], "ports": [443, 9000], "cache": {"claim": "other"}}
BUCKET = {"uri": "s3://runs/genes", "secretRef": {"name": "bucket-keys"}}
HUB = {"uri": "hf://org/run"}
ENFORCED = {"pod-security.kubernetes.io/enforce": "restricted"}


@pytest.fixture(scope="module")
def operator(installed: Installed, _admin: AdminPort, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    with operators.running(installed, tmp_path_factory.mktemp("operator"), sources=SOURCES) as process:
        yield process


def _uids(lab: Lab, model: Manifest) -> set[str]:
    return {pod["metadata"]["uid"] for pod in lab.pods(model)}


def test_a_denied_source_makes_no_pod_and_names_the_charts_value(lab: Lab) -> None:
    model = lab.create(checkpoint=HUB)
    message = lab.awaits("Ready", "False", "SourceDenied")
    assert message.startswith("spec.checkpoint.uri: hf:// is not allowed here (allowed: pvc://, s3://)")
    assert "sources.schemes" in message
    assert (lab.children(model), lab.pods(model)) == ({}, [])


def test_running_pods_survive_a_source_that_is_denied_and_the_way_back_is_open(lab: Lab) -> None:
    lab.create()
    before = _uids(lab, lab.settled())
    lab.edit(checkpoint=HUB)
    lab.awaits("Ready", "False", "SourceDenied")
    model = lab.model()
    assert _uids(lab, model) == before
    assert model["status"]["url"]
    lab.edit(checkpoint={"uri": "pvc://models/runs/1"})
    assert _uids(lab, lab.settled()) == before


def test_a_fetching_pod_is_restricted_and_the_operator_needs_no_secret(
    kube: Kube, operator: Operator, audit: AuditLog, installed: Installed
) -> None:
    with Lab.created(kube, ENFORCED) as lab:
        lab.create(checkpoint=BUCKET)
        [pod] = lab.pods(lab.settled())
    assert [container["name"] for container in pod["spec"]["initContainers"]] == ["fetch-checkpoint"]
    [secret] = [volume["secret"] for volume in pod["spec"]["volumes"] if "secret" in volume]
    assert (secret["secretName"], secret["optional"]) == ("bucket-keys", True)
    assert [write for write in audit.writes(installed.user, lab.namespace) if write.code == 403] == []
    assert [line for line in operator.lines() if "secrets" in str(line)] == []


def test_only_a_model_that_fetches_has_egress(lab: Lab) -> None:
    lab.create("fetches", checkpoint=BUCKET)
    lab.create("mounts")
    lab.settled("fetches")
    lab.settled("mounts")

    def egress(name: str) -> Any:
        policy = lab.child("NetworkPolicy", name)
        assert policy is not None
        return policy["spec"].get("egress")

    assert egress("mounts") is None
    assert {port["port"] for rule in egress("fetches") for port in rule["ports"]} == {53, 443, 9000}


def test_what_the_api_server_stored_is_what_was_meant_so_nothing_is_written_at_rest(
    lab: Lab, audit: AuditLog, installed: Installed
) -> None:
    lab.create(checkpoint=BUCKET, baseModel={"uri": "s3://bases/1", "sha256": "ab" * 32})
    model = lab.settled()
    before = _uids(lab, model)
    audit.mark()
    lab.kube.patch("ScientificModel", "hbb", lab.namespace, {"metadata": {"labels": {"team": "genetics"}}})
    lab.create("later")
    lab.settled("later")
    assert {write.name for write in audit.writes(installed.user, lab.namespace)} == {"later"}
    assert _uids(lab, model) == before


@pytest.mark.parametrize("change", [{"sha256": "cd" * 32}, {"uri": "s3://runs/genes-2"}])
def test_another_pin_or_place_rolls_new_pods_out(lab: Lab, change: dict[str, Any]) -> None:
    lab.create(checkpoint=BUCKET)
    before = _uids(lab, lab.settled())
    lab.edit(checkpoint=change)
    after = _uids(lab, lab.settled())
    assert len(after) == 1
    assert not after & before


def test_the_version_that_the_pods_fetched_is_told(lab: Lab, admin: AdminPort) -> None:
    whole = said()
    admin.say(said(checkpoint={**whole["checkpoint"], "revision": "5d1c", "contentDigest": "sha256:cc"}))
    lab.create(checkpoint=BUCKET)
    checkpoint = lab.settled()["status"]["checkpoint"]
    assert (checkpoint["revision"], checkpoint["contentDigest"]) == ("5d1c", "sha256:cc")
