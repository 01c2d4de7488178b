"""Fetching, as the owner of the model reads it: under way, in trouble, mended."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from forge_operator.api.v1alpha1 import Manifest
from forge_operator.errors import SourceDenied
from forge_operator.status.conditions import judge, refused
from forge_operator.status.observed import Observed
from forge_operator.status.reasons import FETCH_WORDS
from forge_operator.status.trouble import Verdict, trouble
from tests.support.models import a_body, a_live_deployment, a_model, a_pod, a_report, a_server, some_settings

NOW = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
SETTINGS = some_settings(sources={"schemes": ["s3"], "cache": {"claim": "forge-cache"}})
MODEL = a_model(checkpoint={"uri": "s3://runs/1"}, baseModel={"uri": "s3://bases/1"})
DEPLOYMENT = a_live_deployment(MODEL, SETTINGS)
RUNNING: Manifest = {"running": {}}
DONE: Manifest = {"terminated": {"reason": "Completed", "exitCode": 0}}
NEXT: Manifest = {"waiting": {"reason": "PodInitializing"}}


def _pod(checkpoint: Manifest, base: Manifest = NEXT, *, before: Manifest | None = None, **server: Any) -> Manifest:
    """A pod whose fetchers are in these states; `before` is how the first ended the last time."""
    last = {"lastState": {"terminated": before}} if before else {}
    fetchers = [{"name": "fetch-checkpoint", "state": checkpoint, **last}, {"name": "fetch-base-model", "state": base}]
    waits = server or {"waiting": {"reason": "PodInitializing"}}
    return a_pod(DEPLOYMENT, initContainerStatuses=fetchers, **a_server(**waits))


def _ended(reason: str = "SourceUnauthorized", code: int = 1, message: str | None = None) -> Manifest:
    words = json.dumps({"reason": reason, "message": "s3://runs/1: the server answers 403."})
    return {"reason": "Error", "exitCode": code, "message": words if message is None else message}


def _of(*pods: Manifest) -> Verdict:
    return trouble(MODEL, Observed(DEPLOYMENT, pods))


@pytest.mark.parametrize("reason", sorted(FETCH_WORDS))
def test_what_a_fetcher_said_is_told_and_only_an_absent_server_is_ours_to_retry(reason: str) -> None:
    verdict = _of(_pod({"terminated": _ended(reason)}))
    assert (verdict.truth, verdict.reason) == ("Unknown" if reason == "SourceUnavailable" else "False", reason)
    assert verdict.message == "s3://runs/1: the server answers 403."


def test_from_one_try_to_the_next_the_same_is_told() -> None:
    again = {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 40s restarting failed container"}}
    told = {
        _of(pod)
        for pod in (_pod({"terminated": _ended()}), _pod(again, before=_ended()), _pod(RUNNING, before=_ended()))
    }
    assert len(told) == 1


@pytest.mark.parametrize(
    ("pod", "tells"),
    [
        (_pod(RUNNING), "The fetch of spec.checkpoint.uri is under way"),
        (_pod(DONE, RUNNING), "The fetch of spec.baseModel.uri is under way"),
    ],
)
def test_a_fetch_that_runs_is_ours_and_names_its_field_and_log(pod: Manifest, tells: str) -> None:
    verdict = _of(pod)
    assert (verdict.truth, verdict.reason) == ("Unknown", "Fetching")
    assert tells in verdict.message
    assert "kubectl logs -c fetch-" in verdict.message


def test_a_fetch_that_succeeded_at_last_leaves_no_trace_of_its_failures() -> None:
    assert _of(_pod(DONE, RUNNING, before=_ended())).reason == "Fetching"


def test_the_server_has_the_word_once_all_is_fetched() -> None:
    words = json.dumps({"reason": "BaseModelMismatch", "message": "other shapes"})
    assert _of(_pod(DONE, DONE, ended=_ended(message=words))).reason == "BaseModelMismatch"


@pytest.mark.parametrize(
    ("checkpoint", "reason", "tells"),
    [
        (
            {"terminated": {"reason": "OOMKilled", "exitCode": 137}},
            "OutOfMemory",
            "The fetch of spec.checkpoint.uri was",
        ),
        ({"terminated": _ended(code=139, message="Fatal error")}, "Crashed", "uri ended with status 139: Fatal error"),
        ({"terminated": _ended(message="")}, "Crashed", "`kubectl logs -p -c fetch-checkpoint`"),
        ({"waiting": {"reason": "ErrImagePull", "message": "not found"}}, "ImageUnavailable", "not found"),
        ({"waiting": {"reason": "CreateContainerConfigError", "message": "no uid"}}, "ContainerConfig", "no uid"),
    ],
)
def test_a_fetcher_in_any_other_trouble_is_told_as_a_server_would_be(
    checkpoint: Manifest, reason: str, tells: str
) -> None:
    verdict = _of(_pod(checkpoint))
    assert (verdict.truth, verdict.reason) == ("False", reason)
    assert tells in verdict.message


def test_an_injected_init_container_is_not_taken_for_a_fetcher() -> None:
    pod = _pod(RUNNING)
    pod["status"]["initContainerStatuses"].insert(0, {"name": "mesh", "state": {"terminated": _ended()}})
    assert _of(pod).reason == "Fetching"


@pytest.mark.parametrize(
    ("message", "tells"),
    [
        ('persistentvolumeclaim "forge-cache" not found.', "sources.cache.claim of the chart's values"),
        ("pod has unbound immediate PersistentVolumeClaims.", "PersistentVolumeClaim forge-cache is not bound"),
    ],
)
def test_a_cache_that_cannot_be_mounted_is_called_by_its_name(message: str, tells: str) -> None:
    said = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}
    verdict = _of(a_pod(DEPLOYMENT, phase="Pending", conditions=[said]))
    assert (verdict.truth, verdict.reason) == ("False", "VolumeUnavailable")
    assert tells in verdict.message


def _verified(pod: Manifest) -> tuple[str, str]:
    status = judge(MODEL, Observed(DEPLOYMENT, [pod]), {}, NOW)
    found = next(each for each in status["conditions"] if each["type"] == "CheckpointVerified")
    return found["status"], found["reason"]


def test_the_checkpoint_is_not_verified_for_the_same_reason() -> None:
    assert _verified(_pod({"terminated": _ended("SourceDigestMismatch")})) == ("False", "SourceDigestMismatch")
    assert _verified(_pod({"terminated": _ended("SourceUnavailable")})) == ("Unknown", "SourceUnavailable")
    assert _verified(_pod(RUNNING)) == ("Unknown", "Fetching")


def test_status_tells_which_version_was_fetched() -> None:
    loaded = {"digest": "sha256:aa", "rank": 8, "alpha": 16, "targetModules": []}
    report = a_report(checkpoint={**loaded, "revision": "5d1c", "contentDigest": "sha256:cc"})
    pod = a_pod(DEPLOYMENT, "a", ready=True)
    checkpoint = judge(MODEL, Observed(DEPLOYMENT, [pod], {"uid-of-a": report}), {}, NOW)["checkpoint"]
    assert (checkpoint["revision"], checkpoint["contentDigest"]) == ("5d1c", "sha256:cc")


def test_a_denied_source_is_the_owners_turn_and_what_runs_stays_known() -> None:
    previous = {"url": "http://hbb-expert.lab.svc", "readyReplicas": 1}
    status = refused(a_body(generation=2), SourceDenied("spec.checkpoint.uri: no"), previous, NOW)
    assert {(each["type"], each["status"], each["reason"]) for each in status["conditions"]} == {
        ("Ready", "False", "SourceDenied"),
        ("Progressing", "False", "SourceDenied"),
    }
    assert status.items() >= previous.items()
