"""What keeps pods from serving: a chain of named sentences, of which the first that applies is told."""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

from forge_operator.api.parse import Model
from forge_operator.api.v1alpha1 import SERVER, Manifest
from forge_operator.status.observed import Observed, condition, has_ended, has_settled, is_ready
from forge_operator.status.reasons import LAST_WORDS, Reason

Truth = Literal["True", "False", "Unknown"]


@dataclass(frozen=True)
class Verdict:
    """An answer to one question. False: the user's turn. Unknown: ours, still trying. True: it works."""

    truth: Truth
    reason: Reason
    message: str


def yours(reason: Reason, message: str) -> Verdict:
    """Somebody has to act."""
    return Verdict("False", reason, message)


def ours(reason: Reason, message: str) -> Verdict:
    """Nobody has to act."""
    return Verdict("Unknown", reason, message)


def trouble(model: Model, observed: Observed) -> Verdict:
    """Why no pod of the present spec serves. Messages hold nothing that changes from try to try.

    A message with a pod's name, a count of restarts or a time would be a write at each retry.
    """
    return next(verdict for policy in POLICIES if (verdict := policy(model, observed)) is not None)


def _pods_are_refused(model: Model, observed: Observed) -> Verdict | None:
    failure = condition(observed.deployment or {}, "ReplicaFailure")
    if failure.get("status") != "True" or _waiting(observed):
        return None
    why = re.sub(r'^pods "[^"]*" is forbidden: ', "", failure.get("message", ""))
    return yours(Reason.PODS_REFUSED, f"The cluster refuses to create pods: {why}")


def _volume_is_unavailable(model: Model, observed: Observed) -> Verdict | None:
    for message in _scheduler_says(observed):
        if found := re.search(r'persistentvolumeclaim "([^"]+)" (not found|bound to non-existent)', message):
            field = _field_of_claim(model, found[1])
            return yours(
                Reason.VOLUME_UNAVAILABLE,
                f"{field}: the PersistentVolumeClaim {found[1]!r} does not exist in namespace "
                f"{model.namespace!r}; create it or correct the name.",
            )
        if "unbound immediate PersistentVolumeClaims" in message:
            claims = " or ".join(sorted({model.spec.checkpoint.claim, model.spec.base_model.claim}))
            return yours(
                Reason.VOLUME_UNAVAILABLE,
                f"The PersistentVolumeClaim {claims} is not bound to a volume; see `kubectl describe pvc`.",
            )
    return None


def _no_node_fits(model: Model, observed: Observed) -> Verdict | None:
    for message in _scheduler_says(observed):
        short = ", ".join(sorted(set(re.findall(r"Insufficient ([\w./-]+[\w])", message))))
        if short and observed.leaving():
            return ours(Reason.UNSCHEDULABLE, f"Waiting for {short} that a pod on its way out still holds.")
        lack = f"No node has enough {short} left" if short else "No node fits the pod"
        return yours(
            Reason.UNSCHEDULABLE,
            f"{lack}; choose a smaller spec.profile, or free or add a node. The scheduler says: {message}",
        )
    return None


def _image_is_unavailable(model: Model, observed: Observed) -> Verdict | None:
    reasons = (
        "ErrImagePull",
        "ImagePullBackOff",
        "InvalidImageName",
        "ErrImageNeverPull",
        "ImageInspectError",
    )
    for status in _servers(observed):
        waiting = _state(status, "waiting")
        if waiting.get("reason") in reasons:
            # The kubelet alternates between the error and "Back-off pulling ...: ErrImagePull: the error".
            why = waiting.get("message", "").split("ErrImagePull: ")[-1]
            if why.startswith("Back-off pulling"):
                why = "the node keeps trying"
            return yours(
                Reason.IMAGE_UNAVAILABLE,
                f"The node cannot get the image {status.get('image')!r}; the administrator sets it and its "
                f"imagePullSecrets in the operator's settings: {why}",
            )
    return None


def _container_cannot_be_made(model: Model, observed: Observed) -> Verdict | None:
    for status in _servers(observed):
        waiting = _state(status, "waiting")
        if waiting.get("reason") in (
            "CreateContainerConfigError",
            "CreateContainerError",
            "RunContainerError",
        ):
            return yours(
                Reason.CONTAINER_CONFIG,
                f"The node cannot make the container: {waiting.get('message') or waiting['reason']}",
            )
    return None


def _memory_ran_out(model: Model, observed: Observed) -> Verdict | None:
    for status in _servers(observed):
        if _ended(status).get("reason") == "OOMKilled":
            return yours(
                Reason.OUT_OF_MEMORY,
                "The server was killed because it used more memory than its profile allows; choose a larger "
                "spec.profile, spec.quantization.method nf4, or a smaller spec.serving.maxModelLen.",
            )
    return None


def _server_said_why(model: Model, observed: Observed) -> Verdict | None:
    for status in _servers(observed):
        if words := last_words(_ended(status).get("message", "")):
            # The container is started again, with growing pauses, until its trainer or copy is done.
            return ours(*words) if words[0] == Reason.CHECKPOINT_INCOMPLETE else yours(*words)
    return None


def _server_crashed(model: Model, observed: Observed) -> Verdict | None:
    for status in _servers(observed):
        ended = _ended(status)
        if ended.get("exitCode", 0) != 0:
            lines = ended.get("message", "").strip() or "it left no message; see its log with `kubectl logs -p`"
            return yours(Reason.CRASHED, f"The server ended with status {ended['exitCode']}: {lines[-1000:]}")
    return None


def _deadline_has_passed(model: Model, observed: Observed) -> Verdict | None:
    deployment = observed.deployment or {}
    if has_settled(deployment) and condition(deployment, "Progressing").get("reason") == "ProgressDeadlineExceeded":
        minutes = deployment["spec"].get("progressDeadlineSeconds", 600) // 60
        return yours(
            Reason.DEADLINE_EXCEEDED,
            f"No pod became ready within {minutes} minutes; look at the pods with `kubectl describe pods "
            f"-l app.kubernetes.io/instance={deployment['metadata']['name']}`.",
        )
    return None


def _node_gave_the_pod_up(model: Model, observed: Observed) -> Verdict | None:
    ended = [pod for pod in observed.current() if has_ended(pod)]
    if ended and not _waiting(observed):
        status = ended[-1]["status"]
        why = f"{status.get('reason', 'Failed')}: {status.get('message', 'the node gives no reason')}"
        return ours(Reason.EVICTED, f"The node gave the pod up ({why}). Another pod is being made.")
    return None


def _pod_is_on_its_way(model: Model, observed: Observed) -> Verdict:
    pods = _waiting(observed)
    if any("running" in status.get("state", {}) for status in _servers(observed)):
        return ours(Reason.LOADING, "The server is reading the base model and the adapter.")
    if any(pod.get("spec", {}).get("nodeName") for pod in pods):
        return ours(Reason.STARTING, "The pod's image and volumes are being prepared on its node.")
    return ours(Reason.CREATING, "The model's pods are being made.")


Policy = Callable[[Model, Observed], Verdict | None]
POLICIES: tuple[Policy, ...] = (
    _pods_are_refused,
    _volume_is_unavailable,
    _no_node_fits,
    _image_is_unavailable,
    _container_cannot_be_made,
    _server_said_why,
    _memory_ran_out,
    _server_crashed,
    _deadline_has_passed,
    _node_gave_the_pod_up,
    _pod_is_on_its_way,
)


def last_words(text: str) -> tuple[Reason, str] | None:
    """Reason and message of a server that could say why it ended; None for anything else in their place."""
    try:
        words = json.loads(text)
    except (ValueError, RecursionError):  # a pod may write anything there
        return None
    reason = words.get("reason") if isinstance(words, dict) else None
    if not isinstance(reason, str) or reason not in LAST_WORDS:
        return None
    return Reason(reason), str(words.get("message", ""))  # type: ignore[call-arg]  # looks a member up


def _waiting(observed: Observed) -> list[Manifest]:
    return [pod for pod in observed.current() if not is_ready(pod) and not has_ended(pod)]


def _scheduler_says(observed: Observed) -> Iterator[str]:
    for pod in _waiting(observed):
        scheduled = condition(pod, "PodScheduled")
        if scheduled.get("status") == "False" and scheduled.get("reason") == "Unschedulable":
            yield scheduled.get("message", "")


def _servers(observed: Observed) -> Iterator[dict[str, Any]]:
    """The state of our container in each pod that does not serve."""
    for pod in _waiting(observed):
        statuses = pod.get("status", {}).get("containerStatuses") or []
        yield from (status for status in statuses if status["name"] == SERVER)


def _state(status: dict[str, Any], kind: str) -> dict[str, Any]:
    state: dict[str, Any] = status.get("state", {}).get(kind) or {}
    return state


def _ended(status: dict[str, Any]) -> dict[str, Any]:
    """How the container ended, now or the last time: while it tries again, that is still the best news."""
    states = (status.get("state", {}), status.get("lastState", {}))
    return next((state["terminated"] for state in states if state.get("terminated")), {})


def _field_of_claim(model: Model, claim: str) -> str:
    return "spec.checkpoint.uri" if claim == model.spec.checkpoint.claim else "spec.baseModel.uri"
