"""The judgement: when Ready is True, when it is not, and when nothing is written."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from forge_operator.api.crd import definition
from forge_operator.api.v1alpha1 import Manifest, Status
from forge_operator.errors import InvalidSpec, NameConflict, NotYet
from forge_operator.status.conditions import judge, refused
from forge_operator.status.observed import Observed, Report
from tests.support.models import a_body, a_live_deployment, a_model, a_pod, a_report, a_server, an_old_pod

NOW = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
MODEL = a_model(generation=4)
DEPLOYMENT = a_live_deployment(MODEL)
BAD = a_report(adapterEffect={"effective": False, "maxAbsLogitDelta": 0.0})
UNPROBED = a_report(probe={"succeeded": False, "tokens": 0, "milliseconds": 5})


def _seen(*pods: Manifest, deployment: Manifest = DEPLOYMENT, **reports: Report) -> Observed:
    return Observed(deployment, pods, {f"uid-of-{name}": report for name, report in reports.items()})


def _judged(observed: Observed, model: Any = MODEL, previous: dict[str, Any] | None = None) -> dict[str, Any]:
    return judge(model, observed, previous or {}, NOW)


def _told(status: dict[str, Any], kind: str = "Ready") -> tuple[str, str]:
    found = next(condition for condition in status["conditions"] if condition["type"] == kind)
    return found["status"], found["reason"]


def _message(status: dict[str, Any], kind: str = "Ready") -> str:
    return next(str(c["message"]) for c in status["conditions"] if c["type"] == kind)


SERVING = _seen(a_pod(DEPLOYMENT, "a", ready=True), a=a_report())


def test_a_ready_pod_that_proved_itself_makes_everything_true() -> None:
    status = _judged(SERVING)
    assert [(c["type"], c["status"], c["reason"]) for c in status["conditions"]] == [
        ("Ready", "True", "Serving"),
        ("CheckpointVerified", "True", "Verified"),
        ("AdapterEffective", "True", "Effective"),
        ("Progressing", "True", "RolledOut"),
    ]
    assert status["observedGeneration"] == 4
    assert status["url"] == "http://hbb-expert.lab.svc.cluster.local"
    assert (status["replicas"], status["readyReplicas"]) == (1, 1)
    assert status["selector"] == f"serving.scientificllm.io/model-uid={MODEL.uid}"
    assert status["checkpoint"] == {
        "digest": "sha256:aa11",
        "baseModel": "org/base",
        "rank": 8,
        "alpha": 16.0,
        "targetModules": ["down_proj", "q_proj"],
        "quantization": "nf4/bfloat16",
    }


@pytest.mark.parametrize(
    ("observed", "ready"),
    [
        (Observed(None), ("Unknown", "Creating")),
        (_seen(a_pod(DEPLOYMENT, "a", **a_server())), ("Unknown", "Loading")),
        (_seen(a_pod(DEPLOYMENT, "a", ready=True)), ("Unknown", "AwaitingReport")),
        (_seen(a_pod(DEPLOYMENT, "a", ready=True), a=BAD), ("False", "AdapterIneffective")),
        (_seen(a_pod(DEPLOYMENT, "a", ready=True), a=UNPROBED), ("False", "ProbeFailed")),
        (_seen(a_pod(DEPLOYMENT, "a"), a=a_report()), ("Unknown", "Starting")),
    ],
)
def test_ready_is_true_for_nothing_less(observed: Observed, ready: tuple[str, str]) -> None:
    assert _told(_judged(observed)) == ready


def test_one_bad_pod_among_good_ones_is_not_hidden() -> None:
    pods = [a_pod(DEPLOYMENT, name, ready=True) for name in ("a", "b")]
    assert _told(_judged(_seen(*pods, a=a_report(), b=BAD))) == ("False", "AdapterIneffective")
    assert _told(_judged(_seen(*pods, a=a_report(), b=BAD)), "AdapterEffective")[0] == "False"


def test_a_model_with_some_of_its_pods_serves_and_says_how_many() -> None:
    model = a_model(replicas=3)
    deployment = a_live_deployment(model, readyReplicas=1)
    pods = [a_pod(deployment, "a", ready=True), a_pod(deployment, "b", **a_server())]
    status = _judged(_seen(*pods, deployment=deployment, a=a_report()), model)
    assert (_told(status), _message(status)) == (("True", "Serving"), "1 of 3 pods serve the model.")
    assert _told(status, "Progressing") == ("Unknown", "RollingOut")


def test_a_rollout_that_is_stuck_is_false_though_the_model_serves() -> None:
    model = a_model(replicas=2)
    deployment = a_live_deployment(model)
    image = {"reason": "ErrImagePull", "message": "not found"}
    pods = [a_pod(deployment, "a", ready=True), a_pod(deployment, "b", **a_server(waiting=image))]
    status = _judged(_seen(*pods, deployment=deployment, a=a_report()), model)
    assert _told(status) == ("True", "Serving")
    assert _told(status, "Progressing") == ("False", "ImageUnavailable")


def test_pods_of_the_previous_spec_are_mentioned_and_do_not_make_the_new_one_ready() -> None:
    observed = _seen(an_old_pod(DEPLOYMENT, "old"), a_pod(DEPLOYMENT, "a", **a_server()), old=a_report())
    status = _judged(observed)
    assert _told(status) == ("Unknown", "Loading")
    assert _message(status).endswith("Pods of the previous spec still answer: 1.")
    assert "checkpoint" not in status


def test_a_pod_on_its_way_out_does_not_count() -> None:
    pod = a_pod(DEPLOYMENT, "a", ready=True)
    pod["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert _told(_judged(_seen(pod, a=a_report())))[0] == "Unknown"


def test_a_report_that_cannot_be_read_is_quoted() -> None:
    observed = Observed(DEPLOYMENT, [a_pod(DEPLOYMENT, "a", ready=True)], {}, {"uid-of-a": "connection refused"})
    assert _message(_judged(observed)).endswith("The operator cannot read it: connection refused")


def test_zero_replicas_is_the_users_wish_and_the_users_turn() -> None:
    model = a_model(replicas=0)
    status = _judged(_seen(deployment=a_live_deployment(model)), model)
    assert _told(status) == ("False", "ScaledToZero")
    assert _told(status, "Progressing") == ("True", "RolledOut")
    assert _told(status, "CheckpointVerified") == ("Unknown", "NotLoaded")


def test_pods_that_loaded_different_files_from_one_place_are_told_apart() -> None:
    other = a_report(checkpoint={"digest": "sha256:bb22", "rank": 8, "alpha": 16, "targetModules": []})
    pods = [a_pod(DEPLOYMENT, name, ready=True) for name in ("a", "b")]
    status = _judged(_seen(*pods, a=a_report(), b=other))
    assert _told(status, "CheckpointVerified") == ("False", "CheckpointChanged")
    assert "sha256:aa11 and sha256:bb22" in _message(status, "CheckpointVerified")


def test_what_the_server_says_of_the_checkpoint_reaches_the_condition_about_it() -> None:
    words = '{"reason": "CheckpointInvalid", "message": "adapter_config.json: r is missing"}'
    ended = {"reason": "Error", "exitCode": 1, "message": words}
    status = _judged(_seen(a_pod(DEPLOYMENT, "a", **a_server(ended=ended))))
    for kind in ("Ready", "CheckpointVerified", "Progressing"):
        assert _told(status, kind) == ("False", "CheckpointInvalid")
    assert _told(status, "AdapterEffective") == ("Unknown", "NotLoaded")


def test_a_checkpoint_that_is_being_written_is_nobodys_turn() -> None:
    words = '{"reason": "CheckpointIncomplete", "message": "adapter_model.safetensors is not whole yet"}'
    ended = {"reason": "Error", "exitCode": 1, "message": words}
    status = _judged(_seen(a_pod(DEPLOYMENT, "a", **a_server(ended=ended))))
    assert _told(status) == _told(status, "CheckpointVerified") == ("Unknown", "CheckpointIncomplete")
    assert _told(status, "Progressing")[0] == "Unknown"


LOADED = a_report().checkpoint.model_dump()


def test_files_that_changed_under_a_running_model_are_told_and_the_model_stays_ready() -> None:
    pods = [a_pod(DEPLOYMENT, name, ready=True) for name in ("a", "b")]
    changed = a_report(checkpoint={**LOADED, "changed_on_disk": True})
    status = _judged(_seen(*pods, a=a_report(), b=changed))
    assert _told(status) == ("True", "Serving")
    assert _told(status, "CheckpointVerified") == ("False", "CheckpointChanged")
    assert "pvc://models/runs/1 holds something else by now" in _message(status, "CheckpointVerified")


def test_of_a_whole_model_nothing_is_said_about_an_adapter() -> None:
    whole = {"digest": "sha256:cc33", "targetModules": [], "kind": "model", "folder": "merged"}
    status = _judged(_seen(a_pod(DEPLOYMENT, "a", ready=True), a=a_report(checkpoint=whole, adapterEffect=None)))
    assert [(c["type"], c["status"]) for c in status["conditions"]] == [
        ("Ready", "True"),
        ("CheckpointVerified", "True"),
        ("Progressing", "True"),
    ]
    assert status["checkpoint"] == {
        "digest": "sha256:cc33",
        "targetModules": [],
        "quantization": "nf4/bfloat16",
        "kind": "model",
        "folder": "merged",
    }
    Status.model_validate(status)


def test_what_is_known_of_the_training_is_in_the_status() -> None:
    facts = {"folder": "checkpoint-8", "trainer": "TRL 1.16.0", "trainingStep": 8, "evaluationLoss": 0.5}
    told = a_report(checkpoint={**LOADED, **facts, "quantizationMatch": "Mismatch", "kind": "adapter"})
    status = _judged(_seen(a_pod(DEPLOYMENT, "a", ready=True), a=told))
    assert {key: status["checkpoint"][key] for key in facts} == facts
    assert status["checkpoint"]["quantizationMatch"] == "Mismatch"
    Status.model_validate(status)


def test_a_rollout_is_not_over_before_the_deployments_status_speaks_of_its_spec() -> None:
    stale = a_live_deployment(MODEL, observedGeneration=2)
    status = _judged(_seen(a_pod(stale, "a", ready=True), deployment=stale, a=a_report()))
    assert _told(status, "Progressing") == ("Unknown", "RollingOut")


def test_judging_again_changes_nothing_whatever_the_clock_and_the_order_say() -> None:
    pods = [a_pod(DEPLOYMENT, name, ready=True) for name in ("a", "b")]
    first = judge(MODEL, _seen(*pods, a=a_report(), b=a_report()), {}, NOW)
    again = judge(MODEL, _seen(*reversed(pods), b=a_report(), a=a_report()), first, LATER)
    assert again == first


def test_the_transition_time_moves_only_when_the_status_flips() -> None:
    loading = judge(MODEL, _seen(a_pod(DEPLOYMENT, "a", **a_server())), {}, NOW)
    starting = judge(MODEL, _seen(), loading, LATER)
    assert _told(starting) == ("Unknown", "Creating")
    times = [c["lastTransitionTime"] for c in starting["conditions"]]
    assert times == ["2026-01-01T12:00:00Z"] * 4
    serving = judge(MODEL, SERVING, starting, LATER)
    assert {c["lastTransitionTime"] for c in serving["conditions"]} == {"2026-01-01T13:00:00Z"}


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (InvalidSpec("spec.profile: no"), ("False", "InvalidSpec")),
        (NameConflict("Service x"), ("False", "NameConflict")),
        (NotYet("the old Service is being deleted", 2.0), ("Unknown", "Waiting")),
    ],
)
def test_a_refusal_leaves_what_is_known_of_the_running_pods(error: Any, told: tuple[str, str]) -> None:
    before = _judged(SERVING)
    status = refused(a_body(generation=5), error, before, LATER)
    assert _told(status) == _told(status, "Progressing") == told
    assert _message(status) == str(error)
    assert status["observedGeneration"] == 5
    assert (status["url"], status["checkpoint"]) == (before["url"], before["checkpoint"])
    assert status["conditions"][1:3] == before["conditions"][1:3]
    assert refused(a_body(generation=5), error, status, LATER + timedelta(hours=1)) == status


def test_every_status_fits_the_schema_whatever_pods_say() -> None:
    schema = definition()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["status"]
    ended = {"reason": "Error", "exitCode": 1, "message": '{"reason": "EngineFailed", "message": "%s"}' % ("x" * 9000)}
    noisy = _judged(_seen(a_pod(DEPLOYMENT, "a", **a_server(ended=ended))))
    for status in (noisy, _judged(SERVING), refused(a_body(), InvalidSpec("y" * 9000), {}, NOW)):
        Draft202012Validator(schema).validate(status)
        Status.model_validate(status)
    assert _message(noisy).endswith("…")
