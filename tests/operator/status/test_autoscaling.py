"""`AutoscalingActive` and `status.autoscaling`: what an autoscaler's own status means for the model's owner."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from forge_operator.api.parse import Model
from forge_operator.api.v1alpha1 import Manifest, Status
from forge_operator.status.conditions import judge
from forge_operator.status.observed import Autoscaler, Observed
from tests.support.models import a_live_deployment, a_model, a_pod, a_report

NOW = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)
WISH = {
    "minReplicas": 1,
    "maxReplicas": 5,
    "metrics": [{"type": "QueueDepth", "target": 2}, {"type": "LatencyP95", "target": 5}],
}
RAN = {"selector": "model=hbb"}  # what a status tells of a Deployment, also before it is scaled
SEEN = {"forge_queue_depth": "7200m", "forge_latency_p95_seconds": "1"}


def an_hpa(
    values: dict[str, str] | None = None,
    *,
    active: str | None = "True",
    reason: str = "",
    message: str = "",
    **more: str,
) -> Manifest:
    """As its controller leaves it; `more` are further conditions: type to `status/reason`."""
    conditions = [{"type": "ScalingActive", "status": active, "reason": reason, "message": message}] if active else []
    conditions += [
        {"type": kind, "status": words.partition("/")[0], "reason": words.partition("/")[2], "message": "its words"}
        for kind, words in more.items()
    ]
    metrics = [
        {"type": "Pods", "pods": {"metric": {"name": name}, "current": {"averageValue": value}}}
        for name, value in (SEEN if values is None else values).items()
    ]
    return {"status": {"conditions": conditions, "currentMetrics": metrics or None}}


def a_scaled_model(**wish: Any) -> Model:
    return a_model(autoscaling={**WISH, **wish})


def observed(
    model: Model, hpa: Manifest | None, *, replicas: int = 1, ready: bool = True, scaler: Autoscaler | None = None
) -> Observed:
    counts = dict.fromkeys(("replicas", "updatedReplicas", "readyReplicas"), replicas)
    deployment = a_live_deployment(model, **counts)
    deployment["spec"]["replicas"] = replicas
    pods = [a_pod(deployment, f"pod-{n}", ready=ready) for n in range(replicas)]
    reports = {pod["metadata"]["uid"]: a_report() for pod in pods if ready}
    return Observed(deployment, pods, reports, {}, scaler or Autoscaler("hpa", hpa))


def status(hpa: Manifest | None, previous: dict[str, Any] | None = None, *, after: float = 0, **more: Any) -> Any:
    """The status of a model `after` seconds; `more` as for `observed`, and `wish` for the model."""
    model = a_scaled_model(**more.pop("wish", {}))
    return judge(model, observed(model, hpa, **more), previous or {}, NOW + timedelta(seconds=after))


def answer(found: dict[str, Any], kind: str = "AutoscalingActive") -> tuple[str, str, str]:
    condition = next(each for each in found["conditions"] if each["type"] == kind)
    return condition["status"], condition["reason"], condition["message"]


def values(found: dict[str, Any]) -> dict[str, tuple[float | None, str | None]]:
    return {each["type"]: (each.get("value"), each.get("lastSeen")) for each in found["autoscaling"]["metrics"]}


def test_a_model_that_asks_for_none_is_told_nothing() -> None:
    model = a_model()
    found = judge(model, Observed(a_live_deployment(model)), {}, NOW)
    assert "AutoscalingActive" not in {each["type"] for each in found["conditions"]}
    assert "autoscaling" not in found


def test_an_autoscaler_that_sees_all_works() -> None:
    assert answer(status(an_hpa())) == (
        *("True", "Scaling"),
        "Between 1 and 5 pods, by QueueDepth and LatencyP95.",
    )


def test_a_load_beyond_the_bounds_is_told() -> None:
    limited = an_hpa(ScalingLimited="True/TooManyReplicas")
    assert answer(status(limited))[2].endswith(" The load asks for more than maxReplicas.")
    assert "maxReplicas" not in answer(status(an_hpa(ScalingLimited="True/TooFewReplicas")))[2]


@pytest.mark.parametrize(
    ("said", "means"),
    [
        ("no custom metrics API (custom.metrics.k8s.io) registered", "No metrics server is registered"),
        (
            "the server is currently unable to handle the request (get pods.custom…)",
            "The metrics server does not answer",
        ),
        ("unable to fetch metrics from custom metrics API: the server could not find the metric", "has no sample"),
        ("no metrics returned from custom metrics API", "has no sample"),
        ("something new", "Kubernetes says: something new"),
    ],
)
def test_metrics_that_cannot_be_read_are_ours_and_the_message_says_why(said: str, means: str) -> None:
    message = f"the HPA was unable to compute the replica count: unable to get metric forge_queue_depth: {said}"
    blind = an_hpa({}, active="False", reason="FailedGetPodsMetric", message=message)
    truth, reason, told = answer(status(blind))
    assert (truth, reason) == ("Unknown", "MetricsMissing")
    assert told.startswith("QueueDepth and LatencyP95 cannot be read; the number of pods holds.")
    assert means in told.replace("unable to get metric forge_queue_depth: ", "")
    assert answer(status(blind), "Ready")[0] == "True", "a model that serves is ready, whatever its autoscaler sees"


def test_one_metric_of_two_that_is_missing_is_named() -> None:
    found = status(an_hpa({"forge_queue_depth": "1"}))
    assert answer(found)[:2] == ("Unknown", "MetricsMissing")
    assert answer(found)[2].startswith("LatencyP95 cannot be read")


def test_an_entry_without_a_value_is_a_metric_that_was_not_read() -> None:
    hpa = an_hpa({"forge_queue_depth": "1"})
    hpa["status"]["currentMetrics"].append({"type": ""})
    assert answer(status(hpa))[2].startswith("LatencyP95 cannot be read")


def test_while_no_pod_is_ready_there_is_nothing_to_measure() -> None:
    blind = an_hpa({}, active="False", reason="FailedGetPodsMetric", message="no metrics returned")
    truth, _, told = answer(status(blind, ready=False))
    assert truth == "Unknown"
    assert "No pod is ready" in told


@pytest.mark.parametrize(
    ("scaler", "expected"),
    [
        (Autoscaler("none"), ("False", "AutoscalingDisabled")),
        (Autoscaler("keda", is_installed=False), ("False", "AutoscalerMissing")),
        (Autoscaler("keda", None, {}), ("Unknown", "Waiting")),
        (
            Autoscaler(
                "keda", None, {"status": {"conditions": [{"type": "Ready", "status": "False", "message": "bad"}]}}
            ),
            ("False", "AutoscalerFailed"),
        ),
        (Autoscaler("hpa"), ("Unknown", "Waiting")),
        (Autoscaler("hpa", an_hpa(active=None)), ("Unknown", "Waiting")),
        (Autoscaler("hpa", an_hpa(active="False", reason="AmbiguousSelector")), ("False", "AutoscalerConflict")),
        (Autoscaler("hpa", an_hpa(AbleToScale="False/FailedGetScale")), ("Unknown", "Waiting")),
    ],
)
def test_what_keeps_an_autoscaler_from_working(scaler: Autoscaler, expected: tuple[str, str]) -> None:
    assert answer(status(None, scaler=scaler))[:2] == expected


def test_switched_off_there_is_nothing_to_tell_of_decisions() -> None:
    assert "autoscaling" not in status(None, scaler=Autoscaler("none"))


def test_a_model_that_rests_is_active_and_neither_ready_nor_anybodys_turn() -> None:
    found = status(an_hpa({}, active="False", reason="ScalingDisabled"), replicas=0, wish={"minReplicas": 0})
    assert answer(found)[:2] == ("True", "Idle")
    assert answer(found, "Ready")[:2] == ("Unknown", "Idle")


def test_a_model_that_must_not_rest_waits_for_its_first_pod() -> None:
    assert answer(status(an_hpa({}, active="False"), replicas=0))[:2] == ("Unknown", "Waiting")


def test_keda_names_metrics_by_the_position_of_their_triggers() -> None:
    hpa = an_hpa({})
    hpa["status"]["currentMetrics"] = [
        {"type": "External", "external": {"metric": {"name": f"s{n}-prometheus"}, "current": {"value": value}}}
        for n, value in enumerate(["3", "250m", "0"])
    ]
    found = status(None, scaler=Autoscaler("keda", hpa, {}))
    assert {kind: value for kind, (value, _) in values(found).items()} == {"QueueDepth": 3, "LatencyP95": 0.25}


def test_a_model_that_grows_with_ready_pods_stays_ready() -> None:
    before = status(an_hpa())
    model = a_scaled_model()
    grown = observed(model, an_hpa())
    grown.deployment["spec"]["replicas"] = 3  # type: ignore[index]
    found = judge(model, grown, before, NOW)
    assert answer(found, "Ready")[::2] == ("True", "1 of 3 pods serve the model.")
    assert answer(found, "Progressing")[:2] == ("Unknown", "RollingOut")


@pytest.mark.parametrize(
    ("had", "now", "seen", "wish", "words"),
    [
        (3, 5, SEEN, {}, "3 → 5: QueueDepth 7.2 per replica, target 2"),
        (1, 2, {**SEEN, "forge_latency_p95_seconds": "31"}, {}, "1 → 2: LatencyP95 31 s, target 5"),
        (5, 2, {"forge_queue_depth": "100m", "forge_latency_p95_seconds": "2"}, {}, "5 → 2: LatencyP95 2 s, target 5"),
        (1, 3, {"forge_queue_depth": "0"}, {"minReplicas": 3}, "1 → 3: minReplicas is 3"),
        (5, 4, SEEN, {"maxReplicas": 4}, "5 → 4: maxReplicas is 4"),
        (1, 0, {}, {"minReplicas": 0}, "1 → 0: nobody asks"),
        (0, 1, {}, {"minReplicas": 0}, "0 → 1: a request came"),
        (0, 1, {}, {}, "0 → 1: minReplicas is 1"),
        (4, 2, SEEN, {}, "4 → 2: set by another than the autoscaler, or by values that are past"),
        (2, 3, {}, {}, "2 → 3: set by another than the autoscaler, or by values that are past"),
    ],
)
def test_a_decision_is_told_in_words(
    had: int, now: int, seen: dict[str, str], wish: dict[str, Any], words: str
) -> None:
    before = status(an_hpa(), RAN, replicas=had, wish=wish)
    assert "lastDecision" not in before["autoscaling"], "as many as ran before it was scaled"
    found = status(an_hpa(seen), before, after=30, replicas=now, wish=wish)["autoscaling"]
    assert (found["lastDecision"], found["lastDecisionTime"]) == (words, "2026-11-26T12:00:30Z")
    assert (found["currentReplicas"], found["desiredReplicas"]) == (now, now)
    again = status(
        an_hpa(seen), status(an_hpa(seen), before, after=30, replicas=now, wish=wish), after=999, replicas=now
    )
    assert again["autoscaling"]["lastDecision"] == words


def test_a_decision_made_before_the_first_look_at_the_deployment_is_told() -> None:
    found = status(an_hpa({}), replicas=3, wish={"minReplicas": 3})["autoscaling"]
    assert found["lastDecision"] == "1 → 3: minReplicas is 3", "a Deployment begins with one"
    assert "lastDecision" not in status(an_hpa({}), replicas=1)["autoscaling"]


def test_all_that_is_told_fits_the_resource() -> None:
    found = status(an_hpa({"forge_queue_depth": "1"}), status(an_hpa()), after=60, replicas=100)
    assert Status.model_validate(found).autoscaling is not None


def test_values_follow_once_a_minute() -> None:
    first = status(an_hpa())
    assert values(first)["QueueDepth"] == (7.2, "2026-11-26T12:00:00Z")
    moved = an_hpa({**SEEN, "forge_queue_depth": "3"})
    assert status(moved, first, after=59) == first
    later = status(moved, first, after=60)
    assert values(later) == {
        "QueueDepth": (3, "2026-11-26T12:01:00Z"),
        "LatencyP95": (1, "2026-11-26T12:00:00Z"),  # the same as before: not a reason to write
    }


def test_values_follow_at_once_when_something_was_decided() -> None:
    first = status(an_hpa())
    found = status(an_hpa({**SEEN, "forge_queue_depth": "3"}), first, after=5, replicas=2)
    assert values(found)["QueueDepth"] == (3, "2026-11-26T12:00:05Z")


def test_a_value_that_is_lost_stays_with_the_time_at_which_it_was_seen() -> None:
    first = status(an_hpa())
    blind = an_hpa({}, active="False", reason="FailedGetPodsMetric")
    lost = status(blind, first, after=600)
    assert values(lost)["QueueDepth"] == (7.2, "2026-11-26T12:10:00Z"), "it was seen until then, and had not moved"
    assert status(blind, lost, after=6000) == lost, "how long ago that is needs no write"


def test_a_value_beyond_what_the_resource_may_hold_does_not_stop_its_status() -> None:
    assert values(status(an_hpa({**SEEN, "forge_queue_depth": "900P"})))["QueueDepth"][0] == 1e12
