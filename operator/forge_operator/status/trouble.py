"""What keeps pods from serving: a chain of named sentences, of which the first that applies is told."""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from forge_operator.api.parse import Model
from forge_operator.api.science import PLACES, ConfigMapKey
from forge_operator.api.v1alpha1 import SERVER
from forge_operator.status import containers
from forge_operator.status.observed import Observed, condition, has_ended, has_settled
from forge_operator.status.reasons import FETCH_WORDS, LAST_WORDS, Reason

Truth = Literal["True", "False", "Unknown"]
_PLACE = re.compile(r"/((?:lexicon|calibration)-[0-9]+)\b")  # of a file of spec.science in the pod


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
    if failure.get("status") != "True" or containers.waiting(observed):
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
            template = (observed.deployment or {}).get("spec", {}).get("template", {})
            volumes = template.get("spec", {}).get("volumes", [])
            named = {v["persistentVolumeClaim"]["claimName"] for v in volumes if "persistentVolumeClaim" in v}
            claims = " or ".join(sorted(named))
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
    for status in containers.ours(observed):
        waiting = containers.state(status, "waiting")
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
    for status in containers.ours(observed):
        waiting = containers.state(status, "waiting")
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
    for status in containers.ours(observed):
        if containers.ended(status).get("reason") == "OOMKilled":
            smaller = ", spec.quantization.method nf4, or a smaller spec.serving.maxModelLen"
            return yours(
                Reason.OUT_OF_MEMORY,
                f"{containers.called(status)} was killed because it used more memory than its profile allows; choose "
                f"a larger spec.profile{smaller if status['name'] == SERVER else ''}.",
            )
    return None


def _fetcher_said_why(model: Model, observed: Observed) -> Verdict | None:
    for status in containers.fetchers(observed):
        if words := last_words(containers.ended(status).get("message", "")):
            if words[0] is Reason.SOURCE_UNAVAILABLE:
                return ours(*words)
            told = _about_science(model, f"/{status['name'].removeprefix('fetch-')}", f"{words[0]}: {words[1]}")
            return told or yours(*words)
    return None


def _server_said_why(model: Model, observed: Observed) -> Verdict | None:
    for status in containers.servers(observed):
        if words := last_words(containers.ended(status).get("message", "")):
            # The container is started again, with growing pauses, until its trainer or copy is done.
            if words[0] is Reason.CHECKPOINT_INCOMPLETE:
                return ours(*words)
            told = _about_science(model, words[1], words[1]) if words[0] is Reason.INVALID_SETTINGS else None
            return told or yours(*words)
    return None


def _about_science(model: Model, where: str, why: str) -> Verdict | None:
    """What is wrong with a file of spec.science: the pod knows only its place there."""
    found = _PLACE.search(where)
    held = model.spec.science.files.get(found[1]) if found else None
    if not found or not held:
        return None
    is_lexicon = found[1].startswith("lexicon-")
    if isinstance(held, ConfigMapKey):
        what = f"key {held.key!r} of the ConfigMap {held.name!r} in namespace {model.namespace!r}"
    else:
        what = held.uri
    return yours(
        Reason.LEXICON_UNUSABLE if is_lexicon else Reason.CALIBRATION_UNUSABLE,
        f"{PLACES[found[1]]}: {what} cannot be used; create or correct it, and the pod takes it within minutes. "
        f"It says: {why}",
    )


def _container_crashed(model: Model, observed: Observed) -> Verdict | None:
    for status in containers.ours(observed):
        ended = containers.ended(status)
        if ended.get("exitCode", 0) != 0:
            log = f"`kubectl logs -p -c {status['name']}`"
            lines = ended.get("message", "").strip() or f"it left no message; see its log with {log}"
            told = f"{containers.called(status)} ended with status {ended['exitCode']}: {lines[-1000:]}"
            return yours(Reason.CRASHED, told)
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
    if ended and not containers.waiting(observed):
        status = ended[-1]["status"]
        why = f"{status.get('reason', 'Failed')}: {status.get('message', 'the node gives no reason')}"
        return ours(Reason.EVICTED, f"The node gave the pod up ({why}). Another pod is being made.")
    return None


def _pod_is_on_its_way(model: Model, observed: Observed) -> Verdict:
    pods = containers.waiting(observed)
    if any(containers.runs(status) for status in containers.servers(observed)):
        return ours(Reason.LOADING, "The server is reading the base model and the adapter.")
    for status in containers.fetchers(observed):
        if containers.runs(status):
            log = f"`kubectl logs -c {status['name']}`"
            return ours(Reason.FETCHING, f"{containers.called(status)} is under way; {log} tells how far it is.")
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
    _fetcher_said_why,
    _server_said_why,
    _memory_ran_out,
    _container_crashed,
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
    if not isinstance(reason, str) or reason not in LAST_WORDS | FETCH_WORDS:
        return None
    return Reason(reason), str(words.get("message", ""))  # type: ignore[call-arg]  # looks a member up


def _scheduler_says(observed: Observed) -> Iterator[str]:
    for pod in containers.waiting(observed):
        scheduled = condition(pod, "PodScheduled")
        if scheduled.get("status") == "False" and scheduled.get("reason") == "Unschedulable":
            yield scheduled.get("message", "")


def _field_of_claim(model: Model, claim: str) -> str:
    named = (f"{field}.uri" for field, source in model.spec.sources.items() if source.claim == claim)
    # What no field names is the cache, and the administrator's.
    return next(named, "sources.cache.claim of the chart's values")
