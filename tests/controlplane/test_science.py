"""What a lab brings, on a real API server: stored as it was meant, mounted, and rolled out when it changes."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.controlplane.lab import Lab
from tests.support import operators
from tests.support.kube import AuditLog, Kube, Manifest
from tests.support.operators import Installed, Operator
from tests.support.pods import AdminPort

pytestmark = [pytest.mark.controlplane, pytest.mark.usefixtures("operator", "admin")]

GENES = {"configMap": {"name": "lab-genes", "key": "genes.tsv"}}
MONDO = {"source": {"uri": "pvc://other/mondo.obo"}}
BUCKET = {"source": {"uri": "s3://lab/ontologies", "secretRef": {"name": "bucket-keys"}}}
PROFILE = {"configMap": {"name": "profiles", "key": "yes-no.json"}}
SCIENCE = {"lexicons": [GENES, MONDO, BUCKET], "calibration": [PROFILE]}
ENFORCED = {"pod-security.kubernetes.io/enforce": "restricted"}


@pytest.fixture(scope="module")
def operator(installed: Installed, _admin: AdminPort, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    sources = {"schemes": ["pvc", "s3"]}
    with operators.running(installed, tmp_path_factory.mktemp("operator"), sources=sources) as process:
        yield process


def _pod(lab: Lab) -> Manifest:
    [pod] = lab.pods(lab.settled())
    return pod


def _environment(pod: Manifest) -> dict[str, str]:
    return {each["name"]: each.get("value", "") for each in pod["spec"]["containers"][0]["env"]}


def test_a_restricted_pod_has_the_files_and_the_operator_reads_none_of_them(
    kube: Kube, operator: Operator, audit: AuditLog, installed: Installed
) -> None:
    with Lab.created(kube, ENFORCED) as lab:
        lab.create(serving={"tasks": ["papers", "genomics"]}, science=SCIENCE)
        pod = _pod(lab)
    written = _environment(pod)
    assert written["FORGE_TASKS"] == "genomics,papers"
    assert written["FORGE_LEXICONS"] == "/lexicon-0/genes.tsv,/lexicon-1/mondo.obo,/fetched/lexicon-2"
    assert written["FORGE_CALIBRATION"] == "/calibration-0/yes-no.json"
    assert [container["name"] for container in pod["spec"]["initContainers"]] == ["fetch-lexicon-2"]
    maps = {volume["name"]: volume["configMap"] for volume in pod["spec"]["volumes"] if "configMap" in volume}
    assert {name: (each["name"], each["optional"]) for name, each in maps.items()} == {
        "lexicon-0": ("lab-genes", True),
        "calibration-0": ("profiles", True),
    }
    mounts = {mount["name"]: mount.get("readOnly") for mount in pod["spec"]["containers"][0]["volumeMounts"]}
    assert {name for name, read_only in mounts.items() if not read_only} == {"tmp"}
    assert [write for write in audit.writes(installed.user, lab.namespace) if write.code == 403] == []
    assert [line for line in operator.lines() if "configmaps" in str(line)] == []


def test_what_the_api_server_stored_is_what_was_meant_so_nothing_is_written_at_rest(
    lab: Lab, audit: AuditLog, installed: Installed
) -> None:
    lab.create(science=SCIENCE)
    before = _pod(lab)["metadata"]["uid"]
    lab.create("earlier")
    lab.settled("earlier")  # what was still to be told of the first one has been
    audit.mark()
    lab.kube.patch("ScientificModel", "hbb", lab.namespace, {"metadata": {"labels": {"team": "genetics"}}})
    lab.create("later")
    lab.settled("later")
    assert [write for write in audit.writes(installed.user, lab.namespace) if write.name == "hbb"] == []
    assert _pod(lab)["metadata"]["uid"] == before


@pytest.mark.parametrize(
    ("change", "variable", "value"),
    [
        ({"serving": {"tasks": ["papers"]}}, "FORGE_TASKS", "papers"),
        ({"science": {"lexicons": [MONDO]}}, "FORGE_LEXICONS", "/lexicon-0/mondo.obo"),
    ],
)
def test_another_task_or_file_rolls_new_pods_out(lab: Lab, change: dict[str, Any], variable: str, value: str) -> None:
    lab.create(science={"lexicons": [GENES]})
    before = _pod(lab)["metadata"]["uid"]
    lab.edit(**change)
    after = _pod(lab)
    assert after["metadata"]["uid"] != before
    assert _environment(after)[variable] == value


def test_tasks_in_another_order_restart_no_pod(lab: Lab) -> None:
    lab.create(serving={"tasks": ["papers", "genomics"]})
    before = _pod(lab)["metadata"]["uid"]
    lab.edit(serving={"tasks": ["genomics", "papers"]})
    lab.eventually(lambda: lab.model()["status"]["observedGeneration"] == 2, "the edit to be seen")
    assert _pod(lab)["metadata"]["uid"] == before


def test_a_source_of_a_lexicon_that_is_not_allowed_is_named_by_its_field(lab: Lab) -> None:
    lab.create(science={"lexicons": [GENES, {"source": {"uri": "hf://org/ontologies"}}]})
    message = lab.awaits("Ready", "False", "SourceDenied")
    assert message.startswith("spec.science.lexicons[1].source.uri: hf:// is not allowed here")


def test_a_restart_by_hand_reads_an_edited_config_map_and_is_left_alone(lab: Lab, kube: Kube) -> None:
    lab.create(science={"lexicons": [GENES]})
    before = _pod(lab)["metadata"]["uid"]
    kube.ctl("rollout", "restart", "deployment/hbb", "-n", lab.namespace)
    lab.eventually(lambda: before not in {pod["metadata"]["uid"] for pod in lab.pods(lab.model())}, "the pod to go")
    assert _pod(lab)["metadata"]["uid"] != before
