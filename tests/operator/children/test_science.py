"""What a lab brings, in the pod: mounted read-only or fetched, and named to the server."""

from typing import Any

import pytest

from forge_operator.api.v1alpha1 import REVISION_ANNOTATION, Manifest
from forge_operator.children import desired
from forge_operator.errors import SourceDenied
from tests.support.models import a_model, some_settings

GENES = {"configMap": {"name": "lab-genes", "key": "genes.tsv"}}
MONDO = {"source": {"uri": "pvc://models/ontologies/mondo.obo"}}
BUCKET = {"source": {"uri": "s3://lab/ontologies", "secretRef": {"name": "bucket-keys"}}}
PROFILE = {"configMap": {"name": "profiles", "key": "yes-no.json"}}
OPEN = {"schemes": ["pvc", "s3"]}


def _children(sources: dict[str, Any] = OPEN, **spec: Any) -> dict[str, Manifest]:
    children = desired(a_model(**spec), some_settings(sources=sources))
    return {child["kind"]: child for child in children}


def _pod(**spec: Any) -> Manifest:
    pod: Manifest = _children(**spec)["Deployment"]["spec"]["template"]["spec"]
    return pod


def _written(pod: Manifest) -> dict[str, str]:
    return {each["name"]: each["value"] for each in pod["containers"][0]["env"]}


def test_a_model_without_files_of_its_lab_has_neither_volume_nor_variable() -> None:
    pod = _pod()
    assert [volume["name"] for volume in pod["volumes"]] == ["checkpoint", "base", "tmp"]
    assert {"FORGE_LEXICONS", "FORGE_CALIBRATION"} & set(_written(pod)) == set()


def test_each_file_has_a_place_and_the_server_knows_all_of_them() -> None:
    pod = _pod(science={"lexicons": [GENES, MONDO, BUCKET], "calibration": [PROFILE]})
    written = _written(pod)
    assert written["FORGE_LEXICONS"] == "/lexicon-0/genes.tsv,/lexicon-1/ontologies/mondo.obo,/fetched/lexicon-2"
    assert written["FORGE_CALIBRATION"] == "/calibration-0/yes-no.json"
    mounts = {mount["mountPath"]: mount.get("readOnly") for mount in pod["containers"][0]["volumeMounts"]}
    places = ("/checkpoint", "/base", "/lexicon-0", "/lexicon-1", "/calibration-0", "/fetched")
    assert mounts == {**dict.fromkeys(places, True), "/tmp": None}
    [fetcher] = pod["initContainers"]
    assert fetcher["name"] == "fetch-lexicon-2"
    assert {"name": "FORGE_FETCH_TO", "value": "/fetched/lexicon-2"} in fetcher["env"]


def test_a_config_map_may_come_later_and_only_its_key_is_mounted() -> None:
    [volume] = [volume for volume in _pod(science={"lexicons": [GENES]})["volumes"] if "configMap" in volume]
    items = [{"key": "genes.tsv", "path": "genes.tsv"}]
    assert volume["configMap"] == {"name": "lab-genes", "items": items, "optional": True}


def test_a_claim_is_mounted_read_only() -> None:
    pod = _pod(science={"lexicons": [MONDO]})
    [claim] = [volume["persistentVolumeClaim"] for volume in pod["volumes"] if volume["name"] == "lexicon-0"]
    assert claim == {"claimName": "models", "readOnly": True}


def test_what_a_lab_brings_is_fetched_under_the_administrators_rules() -> None:
    assert "egress" not in _children(science={"lexicons": [GENES]})["NetworkPolicy"]["spec"]
    assert "egress" in _children(science={"lexicons": [BUCKET]})["NetworkPolicy"]["spec"]
    with pytest.raises(SourceDenied, match=r"^spec\.science\.lexicons\[0\]\.source\.uri: s3:// is not allowed"):
        _children(sources={"schemes": ["pvc"]}, science={"lexicons": [BUCKET]})


def _revision(**spec: Any) -> str:
    template = _children(**spec)["Deployment"]["spec"]["template"]
    return str(template["metadata"]["annotations"][REVISION_ANNOTATION])


def test_another_file_or_task_rolls_new_pods_out_and_another_order_of_tasks_does_not() -> None:
    other = {"configMap": {"name": "lab-genes-2", "key": "genes.tsv"}}
    assert _revision(science={"lexicons": [GENES]}) != _revision(science={"lexicons": [other]})
    assert _revision(serving={"tasks": ["papers"]}) != _revision()
    both = ["papers", "genomics"]
    assert _revision(serving={"tasks": both}) == _revision(serving={"tasks": both[::-1]})
