"""Whether the autoscaler does its work: a chain of named sentences, of which the first that applies is told.

A HorizontalPodAutoscaler takes no pod away while a metric is missing, so that is ours and not the user's turn.
"""

import re
from collections.abc import Callable

from forge_operator.api.parse import Model
from forge_operator.api.scaling import Autoscaling, MetricType
from forge_operator.status.decisions import seen
from forge_operator.status.observed import Autoscaler, Observed, condition, is_ready
from forge_operator.status.reasons import Reason
from forge_operator.status.trouble import Verdict, ours, yours

_WORDS = 300  # characters of another controller's sentence that are worth repeating


def autoscaling(model: Model, observed: Observed) -> Verdict | None:
    """The answer to `AutoscalingActive`. Messages hold no value: each would be a write."""
    wish, scaler = model.spec.autoscaling, observed.autoscaler
    if wish is None or scaler is None:
        return None
    return next(verdict for policy in _POLICIES if (verdict := policy(model, wish, observed, scaler)) is not None)


Policy = Callable[[Model, Autoscaling, Observed, Autoscaler], Verdict | None]


def _is_switched_off(_: Model, __: Autoscaling, ___: Observed, scaler: Autoscaler) -> Verdict | None:
    if scaler.backend != "none":
        return None
    return yours(
        Reason.AUTOSCALING_DISABLED,
        "The administrator has switched autoscaling off (autoscaling.backend: none), so spec.replicas decides."
        " Set that, and remove spec.autoscaling.",
    )


def _is_not_installed(_: Model, __: Autoscaling, ___: Observed, scaler: Autoscaler) -> Verdict | None:
    if scaler.is_installed:
        return None
    return yours(
        Reason.AUTOSCALER_MISSING,
        "The administrator chose KEDA (autoscaling.backend: keda), and the kind ScaledObject of keda.sh/v1alpha1 is not"
        " installed. Install KEDA, or choose the backend hpa. Until then the number of pods stays as it is.",
    )


def _keda_cannot(_: Model, __: Autoscaling, ___: Observed, scaler: Autoscaler) -> Verdict | None:
    ready = condition(scaler.source or {}, "Ready")
    if scaler.hpa is not None or ready.get("status") != "False":
        return None
    return yours(Reason.AUTOSCALER_FAILED, f"KEDA says: {_short(ready)}")


def _is_being_made(_: Model, __: Autoscaling, ___: Observed, scaler: Autoscaler) -> Verdict | None:
    return ours(Reason.WAITING, "The autoscaler is being made.") if scaler.hpa is None else None


def _rests(_: Model, wish: Autoscaling, observed: Observed, __: Autoscaler) -> Verdict | None:
    if observed.wanted() > 0:
        return None
    if wish.min_replicas == 0:
        return Verdict("True", Reason.IDLE, "No pod runs while nobody asks; a request starts one.")
    return ours(Reason.WAITING, "The first pod is being asked for.")


def _has_a_rival(_: Model, __: Autoscaling, ___: Observed, scaler: Autoscaler) -> Verdict | None:
    active = condition(scaler.hpa or {}, "ScalingActive")
    if active.get("reason") != "AmbiguousSelector":
        return None
    return yours(
        Reason.AUTOSCALER_CONFLICT,
        "Another HorizontalPodAutoscaler scales the pods of this model, so neither does; delete the one that is not"
        f" ours. Kubernetes says: {_short(active)}",
    )


def _cannot_scale(_: Model, __: Autoscaling, ___: Observed, scaler: Autoscaler) -> Verdict | None:
    able = condition(scaler.hpa or {}, "AbleToScale")
    if able.get("status") != "False":
        return None
    return ours(Reason.WAITING, f"The autoscaler cannot reach the model's Deployment: {_short(able)}")


def _sees_nothing(model: Model, _: Autoscaling, observed: Observed, scaler: Autoscaler) -> Verdict | None:
    active = condition(scaler.hpa or {}, "ScalingActive")
    if active.get("status") == "True":
        return None
    if not any(is_ready(pod) for pod in observed.pods):
        return ours(
            Reason.METRICS_MISSING, "No pod is ready, so there is nothing to measure; the number of pods holds."
        )
    if not active:
        return ours(Reason.WAITING, "The autoscaler has not looked at the model yet.")
    lack = _missing(model, scaler)
    about = f"{' and '.join(lack)} cannot be read" if lack else "A metric cannot be read"
    return ours(Reason.METRICS_MISSING, f"{about}; the number of pods holds. {_cause(active)}")


def _sees_not_all(model: Model, _: Autoscaling, __: Observed, scaler: Autoscaler) -> Verdict | None:
    lack = _missing(model, scaler)
    if not lack:
        return None
    return ours(
        Reason.METRICS_MISSING, f"{' and '.join(lack)} cannot be read; until then pods may be added and none is taken."
    )


def _works(model: Model, wish: Autoscaling, _: Observed, scaler: Autoscaler) -> Verdict | None:
    kinds = " and ".join(metric.type for metric in wish.chosen(model.spec.serving.max_concurrency))
    limited = condition(scaler.hpa or {}, "ScalingLimited")
    more = limited.get("status") == "True" and limited.get("reason") == "TooManyReplicas"
    return Verdict(
        "True",
        Reason.SCALING,
        f"Between {wish.min_replicas} and {wish.max_replicas} pods, by {kinds}."
        + (" The load asks for more than maxReplicas." if more else ""),
    )


_POLICIES: tuple[Policy, ...] = (
    _is_switched_off,
    _is_not_installed,
    _keda_cannot,
    _is_being_made,
    _rests,
    _has_a_rival,
    _cannot_scale,
    _sees_nothing,
    _sees_not_all,
    _works,
)


def _missing(model: Model, scaler: Autoscaler) -> list[MetricType]:
    found = seen(model, scaler)
    wish = model.spec.autoscaling
    return [m.type for m in wish.chosen(model.spec.serving.max_concurrency) if m.type not in found] if wish else []


# What the controller says when it cannot read a metric -> what that means here.
_CAUSES = {
    "no custom metrics API": "No metrics server is registered in the cluster.",
    "the server could not find the requested resource": "No metrics server is registered in the cluster.",
    "no external metrics API": "KEDA's metrics server is not registered in the cluster.",
    "server is currently unable to handle the request": "The metrics server does not answer.",
    "the server could not find the metric": "The metrics server has no sample of the model's pods.",
    "no metrics returned from": "The metrics server has no sample of the model's pods.",
    "did not receive metrics for": "The metrics server has no sample of the model's pods.",
}


def _cause(active: dict[str, str]) -> str:
    said = active.get("message", "")
    return next((meaning for words, meaning in _CAUSES.items() if words in said), f"Kubernetes says: {_short(active)}")


def _short(said: dict[str, str]) -> str:
    text = re.sub(r"^the HPA (controller )?was unable to compute the replica count: ", "", said.get("message", ""))
    return text if len(text) <= _WORDS else f"{text[: _WORDS - 1]}…"
