"""`status.autoscaling`: what the autoscaler sees, and what it decided, in words.

A HorizontalPodAutoscaler looks every 15 seconds. Its values are taken over once a minute at most, and at once when
something was decided: a status that followed each of them would be a write for each.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from forge_operator.api.parse import Model
from forge_operator.api.scaling import METRICS, Autoscaling, Metric, MetricType
from forge_operator.api.v1alpha1 import Manifest
from forge_operator.settings import amount
from forge_operator.status.observed import Autoscaler, Observed

FRESH: Final = timedelta(minutes=1)

_LARGEST: Final = 1e12  # that the status may hold
_AT_FIRST: Final = 1  # replicas of a Deployment that does not say how many, as under an autoscaler
_BY_NAME: Final = {kind.name: type_ for type_, kind in METRICS.items()}


def stamp(moment: datetime) -> str:
    """As the API writes times."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def seen(model: Model, scaler: Autoscaler) -> dict[MetricType, float]:
    """The metrics that the autoscaler could read when it looked the last time."""
    found = {}
    for status in (scaler.hpa or {}).get("status", {}).get("currentMetrics") or []:
        part: Manifest = status.get("pods") or status.get("external") or {}
        name, current = part.get("metric", {}).get("name", ""), part.get("current", {})
        kind = _BY_NAME.get(name) or _of_trigger(model, name)
        try:
            value = amount(current.get("averageValue") or current.get("value"))
        except ValueError:
            continue  # a metric that cannot be read stands there without a value
        if kind:
            found[kind] = min(float(f"{value:.4g}"), _LARGEST)
    return found


def _of_trigger(model: Model, name: str) -> MetricType | None:
    """KEDA calls metrics s0-…, s1-…, by the position of their triggers."""
    wish, position = model.spec.autoscaling, re.match(r"s(\d{1,3})-", name)
    chosen = wish.chosen(model.spec.serving.max_concurrency) if wish else []
    return chosen[int(position[1])].type if position and int(position[1]) < len(chosen) else None


def decisions(
    model: Model,
    observed: Observed,
    previous: Mapping[str, Any],
    conditions: Sequence[Mapping[str, Any]],
    now: datetime,
) -> dict[str, Any] | None:
    """The whole of `status.autoscaling`; None for a model that nobody scales."""
    wish, scaler = model.spec.autoscaling, observed.autoscaler
    if wish is None or scaler is None or not observed.is_scaled or observed.deployment is None:
        return None
    before: Mapping[str, Any] = previous.get("autoscaling") or {}
    values, chosen = seen(model, scaler), wish.chosen(model.spec.serving.max_concurrency)
    desired = observed.wanted()
    # A status with a selector has told of the Deployment before. A new Deployment began with one pod, though its
    # autoscaler may have been faster than the first look at it.
    had: int = before.get("desiredReplicas", desired if "selector" in previous else _AT_FIRST)
    decision = _sentence(had, desired, wish, chosen, values) if had != desired else None
    answer, was = _answer(conditions), _answer(previous.get("conditions") or [])
    told = {key: before[key] for key in ("lastDecision", "lastDecisionTime") if key in before}
    if decision:
        told = {"lastDecision": decision, "lastDecisionTime": stamp(now)}
    return {
        "currentReplicas": int(observed.deployment.get("status", {}).get("replicas") or 0),
        "desiredReplicas": desired,
        "metrics": _metrics(
            chosen,
            values,
            before.get("metrics") or [],
            is_news=decision is not None or answer != was,
            is_lost=was[:1] == ("True",) and answer[:1] != ("True",),
            now=now,
        ),
        **told,
    }


def is_behind(status: Mapping[str, Any], model: Model, observed: Observed) -> bool:
    """Whether the autoscaler has seen values that the status does not tell yet."""
    told = {each["type"]: each.get("value") for each in (status.get("autoscaling") or {}).get("metrics") or []}
    scaler = observed.autoscaler
    found = seen(model, scaler) if scaler else {}
    return any(value is not None and told.get(kind, value) != value for kind, value in found.items())


def _answer(conditions: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    return next(((each["status"], each["reason"]) for each in conditions if each["type"] == "AutoscalingActive"), ())


def _metrics(
    chosen: Sequence[Metric],
    values: Mapping[MetricType, float],
    before: Sequence[Mapping[str, Any]],
    *,
    is_news: bool,
    is_lost: bool,
    now: datetime,
) -> list[dict[str, Any]]:
    known = {each["type"]: each for each in before}
    latest = max((each["lastSeen"] for each in before if "lastSeen" in each), default="")
    is_due = is_news or latest <= stamp(now - FRESH)
    found = []
    for metric in chosen:
        old = known.get(metric.type, {})
        told = {key: old[key] for key in ("value", "lastSeen") if key in old}
        value = values.get(metric.type)
        if value is None and is_lost and told:
            told["lastSeen"] = stamp(now)
        elif value is not None and value != old.get("value") and is_due:
            told = {"value": value, "lastSeen": stamp(now)}
        found.append({"type": metric.type, "target": metric.target, **told})
    return found


def _sentence(
    had: int, desired: int, wish: Autoscaling, chosen: Sequence[Metric], values: Mapping[MetricType, float]
) -> str:
    return f"{had} → {desired}: {_why(had, desired, wish, chosen, values)}"


def _why(
    had: int, desired: int, wish: Autoscaling, chosen: Sequence[Metric], values: Mapping[MetricType, float]
) -> str:
    if desired == 0:
        return "nobody asks"
    if had == 0:
        return "a request came" if wish.min_replicas == 0 else f"minReplicas is {wish.min_replicas}"
    if had < wish.min_replicas == desired:
        return f"minReplicas is {wish.min_replicas}"
    if had > wish.max_replicas == desired:
        return f"maxReplicas is {wish.max_replicas}"
    # The metric that asks for most replicas decides, in both directions.
    ratios = {metric: values[metric.type] / metric.target for metric in chosen if metric.type in values}
    most = max(ratios, key=lambda metric: ratios[metric], default=None)
    if most is None or (ratios[most] > 1) != (desired > had):
        return "set by another than the autoscaler, or by values that are past"
    value, unit = _plain(values[most.type]), METRICS[most.type].unit
    return f"{most.type} {value} {unit}, target {_plain(most.target)}"


def _plain(value: float) -> str:
    """7.2, 0.25, 1000: what a person would write."""
    return f"{value:.0f}" if value >= 100 else f"{value:.2f}".rstrip("0").rstrip(".")
