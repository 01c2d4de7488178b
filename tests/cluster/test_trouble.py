"""Pods in trouble, brought about for real: what the owner of the model reads in its status."""

from typing import Any

import pytest

from tests.cluster.conftest import LIMIT, SPEC, upgrade
from tests.controlplane.lab import Lab
from tests.harness.backends import Cluster
from tests.support.kube import SCIM, Manifest

pytestmark = pytest.mark.cluster


def _checkpoint(place: str) -> dict[str, Any]:
    return {"checkpoint": {"uri": f"pvc://models/{place}"}}


# Name, what is wrong, and what is said of it: the reason why Ready is False, and words of its message.
TROUBLE: list[tuple[str, dict[str, Any], str, list[str]]] = [
    ("lost", _checkpoint("no-such-run"), "CheckpointNotFound", ["pvc://models/no-such-run"]),
    ("zeros", _checkpoint("zeros"), "AdapterIneffective", ["every lora_B is zero"]),
    ("baseless", {"baseModel": {"uri": "pvc://models/no-base"}}, "BaseModelNotFound", ["pvc://models/no-base"]),
    ("claimless", {"checkpoint": {"uri": "pvc://no-claim/run"}}, "VolumeUnavailable", ["'no-claim'"]),
    ("gpu", {"profile": "nvidia-gpu"}, "Unschedulable", ["nvidia.com/gpu", "spec.profile"]),
    ("large", {"profile": "tiny"}, "OutOfMemory", ["spec.profile"]),
]


@pytest.mark.parametrize(("name", "wrong", "reason", "words"), TROUBLE, ids=[row[0] for row in TROUBLE])
def test_the_status_names_what_is_wrong(
    lab: Lab, name: str, wrong: dict[str, Any], reason: str, words: list[str]
) -> None:
    lab.create(name, **{**SPEC, **wrong})
    message = lab.awaits("Ready", "False", reason, name, limit=LIMIT)
    assert [word for word in words if word not in message] == []
    lab.kube.delete(SCIM, name, lab.namespace)


def test_a_checkpoint_that_is_half_written_is_waited_for(lab: Lab) -> None:
    lab.create("cut", **{**SPEC, **_checkpoint("cut")})
    message = lab.awaits("Ready", "Unknown", "CheckpointIncomplete", "cut", limit=LIMIT)
    assert "adapter_model.safetensors" in message
    lab.kube.delete(SCIM, "cut", lab.namespace)


def test_the_status_does_not_flicker_while_the_node_tries_again(lab: Lab) -> None:
    model = lab.create("restless", **{**SPEC, **_checkpoint("no-such-run")})
    lab.awaits("Ready", "False", "CheckpointNotFound", "restless", limit=LIMIT)
    first = lab.model("restless")["status"]
    said: list[Manifest] = []

    def tried_twice() -> bool:
        said.append(lab.model("restless")["status"])
        [server] = lab.pods(model)[0]["status"]["containerStatuses"]
        return int(server["restartCount"]) >= 2

    lab.eventually(tried_twice, "a second restart", limit=LIMIT)
    assert [status for status in said if status != first] == []
    lab.kube.delete(SCIM, "restless", lab.namespace)


def test_running_pods_survive_an_image_that_does_not_exist(lab: Lab, installed: Cluster) -> None:
    lab.create("steady", **SPEC)
    lab.awaits("Progressing", "True", "RolledOut", "steady", limit=LIMIT)
    upgrade(installed, "inference.image.tag=no-such-tag")
    try:
        message = lab.awaits("Progressing", "False", "ImageUnavailable", "steady", limit=LIMIT)
        assert "no-such-tag" in message
        assert "Pods of the previous spec still answer: 1." in lab.condition("Ready", "steady")[2]
        assert lab.model("steady")["status"]["readyReplicas"] == 1
        lab.create("late", **SPEC)
        assert "no-such-tag" in lab.awaits("Ready", "False", "ImageUnavailable", "late", limit=LIMIT)
    finally:
        upgrade(installed)
    for name in ("steady", "late"):
        lab.awaits("Progressing", "True", "RolledOut", name, limit=LIMIT)
        lab.awaits("Ready", "True", "Serving", name)
        lab.kube.delete(SCIM, name, lab.namespace)
