"""What the operator sees of one model: a value, gathered elsewhere, judged in `conditions`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from pydantic.alias_generators import to_camel

from forge_operator.api.v1alpha1 import REVISION_ANNOTATION, Manifest

Text = Annotated[str, StringConstraints(max_length=256)]


class _Said(BaseModel):
    # A pod may be newer than the operator, so what it says beyond this is ignored. The bounds are those of
    # the resource's status: a pod cannot make the operator write something that the API server refuses.
    model_config = ConfigDict(extra="ignore", frozen=True, alias_generator=to_camel, populate_by_name=True)


class ReportedCheckpoint(_Said):
    """What the pod loaded: an adapter, or a whole model, which has neither rank nor alpha."""

    digest: Annotated[str, StringConstraints(max_length=128)]
    base_model: Annotated[str, StringConstraints(max_length=1024)] | None = None
    rank: Annotated[int, Field(ge=1, le=65_536)] | None = None
    alpha: Annotated[float, Field(ge=0, le=1e6)] | None = None
    target_modules: Annotated[list[Text], Field(max_length=256)]
    # Pods of an earlier version do not say these.
    kind: Text | None = None
    folder: Annotated[str, StringConstraints(max_length=4096)] | None = None
    trainer: Text | None = None
    training_step: Annotated[int, Field(ge=0, le=2**53)] | None = None
    evaluation_loss: Annotated[float, Field(ge=-1e6, le=1e6)] | None = None
    quantization_match: Literal["Match", "Mismatch", "Unknown"] | None = None
    changed_on_disk: bool = False
    revision: Text | None = None  # of what was fetched; None for files on a claim
    content_digest: Annotated[str, StringConstraints(max_length=128)] | None = None


class ReportedQuantization(_Said):
    """How the pod holds the base model."""

    method: Annotated[str, StringConstraints(max_length=32)]
    double_quant: bool
    compute_dtype: Annotated[str, StringConstraints(max_length=32)]


class AdapterEffect(_Said):
    """What the adapter changes; `max_abs_logit_delta` is in logits."""

    effective: bool
    max_abs_logit_delta: float


class Probe(_Said):
    """The pod's own first generation through the adapter."""

    succeeded: bool
    tokens: int
    milliseconds: float


class Report(_Said):
    """The answer of a pod's admin port to `/report`."""

    model: str
    version: str
    checkpoint: ReportedCheckpoint
    quantization: ReportedQuantization
    adapter_effect: AdapterEffect | None  # None: a whole model
    probe: Probe


@dataclass(frozen=True)
class Autoscaler:
    """Who scales a model that asks for it: the administrator's choice, and what there is of it.

    `hpa` is the HorizontalPodAutoscaler, our own or KEDA's; `source` is KEDA's ScaledObject.
    """

    backend: Literal["hpa", "keda", "none"]
    hpa: Manifest | None = None
    source: Manifest | None = None
    is_installed: bool = True


@dataclass(frozen=True)
class Observed:
    """A model's Deployment and pods as the API server has them, and what the pods say, by pod uid.

    The Deployment must be at least as new as the one that was applied for the model's present generation.
    """

    deployment: Manifest | None
    pods: Sequence[Manifest] = ()
    reports: Mapping[str, Report] = field(default_factory=dict)
    report_errors: Mapping[str, str] = field(default_factory=dict)
    autoscaler: Autoscaler | None = None  # None: the model asks for none

    @property
    def is_scaled(self) -> bool:
        """Whether the number of pods is an autoscaler's."""
        return self.autoscaler is not None and self.autoscaler.backend != "none"

    def wanted(self) -> int:
        """Pods that the Deployment is to have, whoever decided it."""
        return int((self.deployment or {}).get("spec", {}).get("replicas", 1))

    def current(self) -> list[Manifest]:
        """Pods made from the present template and not on their way out, by name."""
        template = (self.deployment or {}).get("spec", {}).get("template", {})
        revision = _revision(template)
        return [pod for pod in self._staying() if _revision(pod) == revision]

    def old(self) -> list[Manifest]:
        """Pods of earlier templates that still run."""
        current = {uid(pod) for pod in self.current()}
        return [pod for pod in self._staying() if uid(pod) not in current]

    def leaving(self) -> list[Manifest]:
        """Pods that are being deleted and may still hold their accelerator."""
        return [pod for pod in self.pods if "deletionTimestamp" in pod["metadata"]]

    def _staying(self) -> list[Manifest]:
        staying = [pod for pod in self.pods if "deletionTimestamp" not in pod["metadata"]]
        return sorted(staying, key=lambda pod: str(pod["metadata"]["name"]))

    def reporting(self) -> list[tuple[Manifest, Report]]:
        """Ready pods of the present template that have said what they loaded."""
        pods = [pod for pod in self.current() if is_ready(pod)]
        return [(pod, self.reports[uid(pod)]) for pod in pods if uid(pod) in self.reports]


def uid(pod: Manifest) -> str:
    """The pod's uid, the key of its report."""
    return str(pod["metadata"]["uid"])


def is_ready(pod: Manifest) -> bool:
    """Whether the kubelet lets the pod take requests."""
    return condition(pod, "Ready").get("status") == "True"


def has_ended(pod: Manifest) -> bool:
    """Whether the pod will never run again (evicted, refused by its node); its Deployment replaces it."""
    return pod.get("status", {}).get("phase") in ("Failed", "Succeeded")


def has_settled(deployment: Manifest) -> bool:
    """Whether its status speaks of its present spec."""
    generation = deployment.get("metadata", {}).get("generation")
    return bool(deployment.get("status", {}).get("observedGeneration") == generation)


def condition(thing: Manifest, kind: str) -> dict[str, Any]:
    """The condition of this type, or an empty one."""
    conditions: list[dict[str, Any]] = thing.get("status", {}).get("conditions") or []
    return next((condition for condition in conditions if condition.get("type") == kind), {})


def _revision(thing: Manifest) -> str | None:
    annotations: dict[str, str] = thing.get("metadata", {}).get("annotations") or {}
    return annotations.get(REVISION_ANNOTATION)
