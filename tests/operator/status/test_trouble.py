"""Each kind of pod trouble: whose turn it is, the reason, and what its owner is told."""

import json
from typing import Any

import pytest

from forge_operator.api.v1alpha1 import Manifest
from forge_operator.status.observed import Observed
from forge_operator.status.reasons import LAST_WORDS
from forge_operator.status.trouble import Verdict, last_words, trouble
from tests.support.models import a_live_deployment, a_model, a_pod, a_server

MODEL = a_model()
DEPLOYMENT = a_live_deployment(MODEL)


def _of(*pods: Manifest, deployment: Manifest = DEPLOYMENT) -> Verdict:
    return trouble(MODEL, Observed(deployment, pods))


def _unscheduled(message: str) -> Manifest:
    said = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}
    return a_pod(DEPLOYMENT, phase="Pending", conditions=[said])


def _ended(reason: str = "Error", code: int = 1, message: str = "") -> dict[str, Any]:
    return {"reason": reason, "exitCode": code, "message": message}


WORDS = json.dumps({"reason": "CheckpointNotFound", "message": "pvc://models/runs/1 has no adapter_config.json"})


@pytest.mark.parametrize(
    ("pod", "truth", "reason", "tells"),
    [
        (
            _unscheduled("0/3 nodes are available: 3 Insufficient nvidia.com/gpu, 1 Insufficient memory."),
            "False",
            "Unschedulable",
            "No node has enough memory, nvidia.com/gpu left; choose a smaller spec.profile",
        ),
        (
            _unscheduled("0/3 nodes are available: 3 node(s) didn't match Pod's node affinity/selector."),
            "False",
            "Unschedulable",
            "No node fits the pod",
        ),
        (
            _unscheduled('0/1 nodes are available: persistentvolumeclaim "models" not found.'),
            "False",
            "VolumeUnavailable",
            "spec.checkpoint.uri: the PersistentVolumeClaim 'models' does not exist in namespace 'lab'",
        ),
        (
            _unscheduled("0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims."),
            "False",
            "VolumeUnavailable",
            "PersistentVolumeClaim models is not bound",
        ),
        (
            a_pod(DEPLOYMENT, **a_server(waiting={"reason": "InvalidImageName", "message": "bad reference"})),
            "False",
            "ImageUnavailable",
            "imagePullSecrets in the operator's settings: bad reference",
        ),
        (
            a_pod(DEPLOYMENT, **a_server(waiting={"reason": "CreateContainerConfigError", "message": "no uid"})),
            "False",
            "ContainerConfig",
            "no uid",
        ),
        (a_pod(DEPLOYMENT, **a_server(ended=_ended("OOMKilled", 137))), "False", "OutOfMemory", "larger spec.profile"),
        (
            a_pod(DEPLOYMENT, **a_server(ended=_ended(message=WORDS))),
            "False",
            "CheckpointNotFound",
            "no adapter_config.json",
        ),
        (
            a_pod(DEPLOYMENT, **a_server(waiting={"reason": "CrashLoopBackOff"}, before=_ended(message=WORDS))),
            "False",
            "CheckpointNotFound",
            "no adapter_config.json",
        ),
        (
            a_pod(DEPLOYMENT, **a_server(ended=_ended(code=139, message="Fatal Python error\n"))),
            "False",
            "Crashed",
            "ended with status 139: Fatal Python error",
        ),
        (a_pod(DEPLOYMENT, **a_server(ended=_ended(code=1))), "False", "Crashed", "kubectl logs -p"),
        (
            a_pod(DEPLOYMENT, phase="Failed", reason="Evicted", message="The node was low on memory."),
            "Unknown",
            "Evicted",
            "low on memory",
        ),
        (a_pod(DEPLOYMENT, **a_server()), "Unknown", "Loading", "reading the base model"),
        (a_pod(DEPLOYMENT, **a_server(waiting={"reason": "ContainerCreating"})), "Unknown", "Starting", "prepared"),
    ],
)
def test_a_pod_in_trouble_is_told_with_whose_turn_it_is(pod: Manifest, truth: str, reason: str, tells: str) -> None:
    verdict = _of(pod)
    assert (verdict.truth, verdict.reason) == (truth, reason)
    assert tells in verdict.message


def test_without_pods_they_are_still_being_made() -> None:
    assert (_of().truth, _of().reason) == ("Unknown", "Creating")


def test_what_the_kubelet_says_in_turn_about_one_image_is_told_in_the_same_words() -> None:
    # Otherwise each try would be two writes to the resource.
    error = 'failed to pull image "x": not found'
    first = a_pod(DEPLOYMENT, **a_server(waiting={"reason": "ErrImagePull", "message": error}))
    back_off = {"reason": "ImagePullBackOff", "message": f'Back-off pulling image "x": ErrImagePull: {error}'}
    assert _of(first) == _of(a_pod(DEPLOYMENT, **a_server(waiting=back_off)))
    assert error in _of(first).message


def test_a_server_that_tries_again_is_judged_by_how_it_ended_the_last_time() -> None:
    again = a_pod(DEPLOYMENT, **a_server(before=_ended(message=WORDS)))
    assert _of(again).reason == "CheckpointNotFound"


def test_a_pod_that_leaves_and_holds_the_accelerator_is_waited_for() -> None:
    leaving = a_pod(DEPLOYMENT, "pod-0", ready=True)
    leaving["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    verdict = _of(_unscheduled("0/1 nodes are available: 1 Insufficient nvidia.com/gpu."), leaving)
    assert (verdict.truth, verdict.reason) == ("Unknown", "Unschedulable")
    assert "nvidia.com/gpu" in verdict.message


def test_an_evicted_pod_is_forgotten_once_another_one_is_there() -> None:
    evicted = a_pod(DEPLOYMENT, "pod-0", phase="Failed", reason="Evicted")
    assert _of(evicted, a_pod(DEPLOYMENT, "pod-1", **a_server())).reason == "Loading"


def test_a_cluster_that_refuses_pods_is_quoted_without_the_pods_random_name() -> None:
    message = 'pods "hbb-expert-7f-x2k9d" is forbidden: exceeded quota: lab, requested: cpu=500m'
    failure = {"type": "ReplicaFailure", "status": "True", "message": message}
    verdict = _of(deployment=a_live_deployment(MODEL, conditions=[failure]))
    assert (verdict.truth, verdict.reason) == ("False", "PodsRefused")
    assert verdict.message == "The cluster refuses to create pods: exceeded quota: lab, requested: cpu=500m"


def test_a_start_that_takes_too_long_is_told_with_the_command_to_look_further() -> None:
    progress = {"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}
    verdict = _of(a_pod(DEPLOYMENT, **a_server()), deployment=a_live_deployment(MODEL, conditions=[progress]))
    assert (verdict.truth, verdict.reason) == ("False", "DeadlineExceeded")
    assert "within 40 minutes" in verdict.message
    assert "app.kubernetes.io/instance=hbb-expert" in verdict.message


def test_the_trouble_of_an_injected_container_is_not_taken_for_the_servers() -> None:
    pod = a_pod(DEPLOYMENT, **a_server())
    sidecar = {"name": "mesh", "state": {"terminated": _ended("OOMKilled", 137)}}
    pod["status"]["containerStatuses"].insert(0, sidecar)
    assert _of(pod).reason == "Loading"


def test_a_checkpoint_that_is_being_written_is_waited_for() -> None:
    words = json.dumps({"reason": "CheckpointIncomplete", "message": "adapter_model.safetensors is not whole yet"})
    for pod in (_ended(message=words), None):
        ended = {"ended": pod} if pod else {"before": _ended(message=words)}
        verdict = _of(a_pod(DEPLOYMENT, **a_server(**ended)))
        assert (verdict.truth, verdict.reason) == ("Unknown", "CheckpointIncomplete")
        assert "not whole yet" in verdict.message


@pytest.mark.parametrize("reason", sorted(LAST_WORDS))
def test_every_reason_of_the_servers_last_words_is_taken_over(reason: str) -> None:
    assert last_words(json.dumps({"reason": reason, "message": "m"})) == (reason, "m")


@pytest.mark.parametrize(
    "text", ["", "Traceback ...", "[]", "{}", '{"reason": "Serving"}', '{"reason": ["a"]}', '"x"', "[" * 4000]
)
def test_anything_else_in_their_place_is_not_believed(text: str) -> None:
    assert last_words(text) is None
