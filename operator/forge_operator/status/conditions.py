"""The only file that knows conditions. False = your turn, Unknown = ours, still trying, True = it works.

Ready               a generation through this adapter succeeded on a ready pod of the present spec
CheckpointVerified  the ready pods loaded one and the same checkpoint, and its folder still holds it
AdapterEffective    the adapter changes the base model's answers; absent for a whole model, which has no adapter
Progressing         all pods run the present spec (True), are getting there (Unknown), or cannot (False)
AutoscalingActive   the autoscaler sees its metrics; absent for a model that asks for none
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from forge_operator.api.fields import MESSAGE_LENGTH, fitting
from forge_operator.api.parse import Model
from forge_operator.api.v1alpha1 import URL_ANNOTATION, Manifest
from forge_operator.errors import InvalidSpec, NameConflict, NotYet, SourceDenied
from forge_operator.status.autoscaling import autoscaling
from forge_operator.status.decisions import decisions, stamp
from forge_operator.status.observed import Observed, Report, has_settled, is_ready, uid
from forge_operator.status.reasons import FETCH_WORDS, Reason
from forge_operator.status.trouble import Verdict, ours, trouble, yours

Status = dict[str, Any]

_ABOUT_THE_CHECKPOINT = {
    Reason.CHECKPOINT_NOT_FOUND,
    Reason.CHECKPOINT_INVALID,
    Reason.CHECKPOINT_INCOMPLETE,
    Reason.CHECKPOINT_UNSUPPORTED,
    Reason.BASE_MODEL_NOT_FOUND,
    Reason.BASE_MODEL_MISMATCH,
    Reason.VOLUME_UNAVAILABLE,
    Reason.FETCHING,
    *FETCH_WORDS,
}
_ABOUT_THE_ADAPTER = {Reason.ADAPTER_INEFFECTIVE}


def judge(model: Model, observed: Observed, previous: Mapping[str, Any], now: datetime) -> Status:
    """The complete status of a model whose children were applied. Nothing new: equal to `previous`."""
    questions: dict[str, Callable[[Model, Observed], Verdict | None]] = {
        "Ready": _ready,
        "CheckpointVerified": _checkpoint_verified,
        "AdapterEffective": _adapter_effective,
        "Progressing": _progressing,
        "AutoscalingActive": autoscaling,
    }
    answers = {kind: question(model, observed) for kind, question in questions.items()}
    verdicts = {kind: verdict for kind, verdict in answers.items() if verdict is not None}
    conditions = _conditions(verdicts, previous, model.generation, now)
    facts = {
        "url": _url(observed.deployment),
        "replicas": _count(observed.deployment, "replicas"),
        "readyReplicas": _count(observed.deployment, "readyReplicas"),
        "selector": _selector(observed.deployment),
        "checkpoint": _checkpoint(observed),
        "autoscaling": decisions(model, observed, previous, conditions, now),
    }
    return {
        "observedGeneration": model.generation,
        "conditions": conditions,
        **{key: value for key, value in facts.items() if value is not None},
    }


_REFUSALS: dict[type[Exception], Reason] = {
    NameConflict: Reason.NAME_CONFLICT,
    SourceDenied: Reason.SOURCE_DENIED,
    NotYet: Reason.WAITING,
}


def refused(
    body: Mapping[str, Any],
    error: InvalidSpec | NameConflict | NotYet,
    previous: Mapping[str, Any],
    now: datetime,
) -> Status:
    """The status of a model that could not be acted on. What was known of its running pods stays."""
    generation = body["metadata"]["generation"]
    reason = _REFUSALS.get(type(error), Reason.INVALID_SPEC)
    verdict = Verdict("Unknown" if isinstance(error, NotYet) else "False", reason, str(error))
    news = _conditions({"Ready": verdict, "Progressing": verdict}, previous, generation, now)
    kept = [old for old in previous.get("conditions", []) if old["type"] not in ("Ready", "Progressing")]
    return {**previous, "observedGeneration": generation, "conditions": [news[0], *kept, news[1]]}


def _ready(model: Model, observed: Observed) -> Verdict:
    if observed.deployment is None:
        return ours(Reason.CREATING, "The model's Deployment is being made.")
    if observed.wanted() == 0:
        if observed.is_scaled:
            return ours(Reason.IDLE, "No pod runs while nobody asks; a request starts one.")
        return yours(Reason.SCALED_TO_ZERO, "spec.replicas is 0; raise it to serve the model.")
    reports = [report for _, report in observed.reporting()]
    if any(report.adapter_effect and not report.adapter_effect.effective for report in reports):
        return _with_old_pods(_INEFFECTIVE, observed)
    if any(not report.probe.succeeded for report in reports):
        return _with_old_pods(_PROBE_FAILED, observed)
    if reports:
        return Verdict("True", Reason.SERVING, f"{len(reports)} of {observed.wanted()} pods serve the model.")
    return _with_old_pods(_missing_report(observed) or trouble(model, observed), observed)


_INEFFECTIVE = yours(
    Reason.ADAPTER_INEFFECTIVE,
    "The adapter changes nothing in the base model's answers; check that training saved the trained adapter.",
)
_PROBE_FAILED = yours(
    Reason.PROBE_FAILED, "The first generation through the adapter failed; see the pods' log for the cause."
)


def _missing_report(observed: Observed) -> Verdict | None:
    silent = [pod for pod in observed.current() if is_ready(pod) and uid(pod) not in observed.reports]
    if not silent:
        return None
    errors = sorted({observed.report_errors[uid(pod)] for pod in silent if uid(pod) in observed.report_errors})
    why = f" The operator cannot read it: {errors[0]}" if errors else ""
    return ours(Reason.AWAITING_REPORT, f"A pod is ready and has not reported what it loaded.{why}")


def _with_old_pods(verdict: Verdict, observed: Observed) -> Verdict:
    serving = sum(is_ready(pod) for pod in observed.old())
    if serving == 0:
        return verdict
    message = f"{verdict.message} Pods of the previous spec still answer: {serving}."
    return Verdict(verdict.truth, verdict.reason, message)


def _checkpoint_verified(model: Model, observed: Observed) -> Verdict:
    digests = sorted({report.checkpoint.digest for _, report in observed.reporting()})
    if len(digests) > 1:
        return yours(
            Reason.CHECKPOINT_CHANGED,
            f"The pods loaded different files from {model.spec.checkpoint.uri}: {' and '.join(digests)}. "
            "Give each training run a folder of its own, and name it in spec.checkpoint.uri.",
        )
    if any(report.checkpoint.changed_on_disk for _, report in observed.reporting()):
        return yours(
            Reason.CHECKPOINT_CHANGED,
            f"The pods serve {digests[0]}, and {model.spec.checkpoint.uri} holds something else by now: a pod that "
            "starts would serve that. Restore the files, name a folder that stays in spec.checkpoint.uri, or delete "
            "the pods to serve the new files.",
        )
    if digests:
        return Verdict("True", Reason.VERIFIED, f"The pods loaded {digests[0]}.")
    return _only(_ABOUT_THE_CHECKPOINT, model, observed)


def _adapter_effective(model: Model, observed: Observed) -> Verdict | None:
    reports = [report for _, report in observed.reporting()]
    effects = [report.adapter_effect for report in reports if report.adapter_effect]
    if reports and not effects:
        return None  # neither True nor False would be true of a whole model
    if any(not effect.effective for effect in effects):
        return _INEFFECTIVE
    if effects:
        least = min(effect.max_abs_logit_delta for effect in effects)
        return Verdict("True", Reason.EFFECTIVE, f"The adapter moves next-token logits by up to {least:.3g}.")
    return _only(_ABOUT_THE_ADAPTER, model, observed)


def _only(subject: set[Reason], model: Model, observed: Observed) -> Verdict:
    if observed.deployment is not None and observed.wanted() > 0:
        verdict = trouble(model, observed)
        if verdict.reason in subject:
            return verdict
    return ours(Reason.NOT_LOADED, "No pod of the present spec has loaded the checkpoint.")


def _progressing(model: Model, observed: Observed) -> Verdict:
    deployment, wanted = observed.deployment, observed.wanted()
    if deployment is None:
        return ours(Reason.CREATING, "The model's Deployment is being made.")
    serving, total = len(observed.reporting()), _count(deployment, "replicas")
    if has_settled(deployment) and serving == total == wanted == _count(deployment, "updatedReplicas"):
        return Verdict("True", Reason.ROLLED_OUT, "All pods run the present spec.")
    if serving < wanted:
        verdict = _missing_report(observed) or trouble(model, observed)
        if verdict.truth == "False":
            return verdict
    return ours(Reason.ROLLING_OUT, f"{serving} of {wanted} pods run the present spec; {total} exist.")


def _url(deployment: Manifest | None) -> str | None:
    annotations: dict[str, str] = (deployment or {}).get("metadata", {}).get("annotations") or {}
    return annotations.get(URL_ANNOTATION)


def _count(deployment: Manifest | None, key: str) -> int:
    return int((deployment or {}).get("status", {}).get(key) or 0)


def _selector(deployment: Manifest | None) -> str | None:
    wanted = (deployment or {}).get("spec", {}).get("selector", {}).get("matchLabels", {})
    return ",".join(f"{key}={value}" for key, value in sorted(wanted.items())) or None


def _checkpoint(observed: Observed) -> Status | None:
    reports: list[Report] = [report for _, report in observed.reporting()]
    if not reports:
        return None
    loaded, quantization = reports[0].checkpoint, reports[0].quantization
    found = {
        "digest": loaded.digest,
        "contentDigest": loaded.content_digest,
        "revision": loaded.revision,
        "baseModel": loaded.base_model,
        "rank": loaded.rank,
        "alpha": loaded.alpha,
        "targetModules": sorted(loaded.target_modules),
        "quantization": f"{quantization.method}/{quantization.compute_dtype}",
        "kind": loaded.kind,
        "folder": loaded.folder,
        "trainer": loaded.trainer,
        "trainingStep": loaded.training_step,
        "evaluationLoss": loaded.evaluation_loss,
        "quantizationMatch": loaded.quantization_match,
    }
    return {key: value for key, value in found.items() if value is not None}


def _conditions(
    verdicts: Mapping[str, Verdict], previous: Mapping[str, Any], generation: int, now: datetime
) -> list[dict[str, Any]]:
    before = {condition["type"]: condition for condition in previous.get("conditions", [])}
    present = stamp(now)
    conditions = []
    for kind, verdict in verdicts.items():
        old = before.get(kind, {})
        unchanged = old.get("status") == verdict.truth
        conditions.append(
            {
                "type": kind,
                "status": verdict.truth,
                "reason": str(verdict.reason),
                "message": fitting(verdict.message, MESSAGE_LENGTH),
                "lastTransitionTime": old["lastTransitionTime"] if unchanged else present,
                "observedGeneration": generation,
            }
        )
    return conditions
