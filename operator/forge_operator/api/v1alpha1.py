"""ScientificModel v1alpha1. The docstrings and descriptions here are what `kubectl explain` prints.

Every string, list and map is bounded: the API server needs the bounds to estimate the cost of CEL rules.
"""

from typing import Annotated, Any, Literal, Self

from pydantic import ConfigDict, Field, JsonValue, StringConstraints, model_validator

from forge_operator.api.fields import Api, LongText, ShortText, matches
from forge_operator.api.reach import REACH_RULES, check_reach
from forge_operator.api.scaling import MOST_REPLICAS, Autoscaling, AutoscalingStatus
from forge_operator.api.science import PLACES, TASKS, Science, Task
from forge_operator.api.source import Source

Manifest = dict[str, Any]

GROUP = "serving.scientificllm.io"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"
KIND = "ScientificModel"
PLURAL = "scientificmodels"

# On the Deployment: where the model answers. Status repeats it, so it never promises what does not exist.
URL_ANNOTATION = f"{GROUP}/url"
# On pods: which rendering of the template made them. Status tells new pods from old ones by it.
REVISION_ANNOTATION = f"{GROUP}/revision"
# The container of ours in a pod; others may be injected.
SERVER = "server"
# Its init containers that fetch sources, by the field of the spec that names the source.
FETCHERS = {
    "fetch-checkpoint": "spec.checkpoint",
    "fetch-base-model": "spec.baseModel",
    **{f"fetch-{place}": f"{field}.source" for place, field in PLACES.items()},
}

_PROFILE = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"
_PROFILE_MESSAGE = "should match the name of a profile: lower-case letters, digits and dashes"

ProfileName = Annotated[str, StringConstraints(min_length=1, max_length=63), *matches(_PROFILE, _PROFILE_MESSAGE)]

_DOUBLE_QUANT_MESSAGE = "doubleQuant is a property of nf4: remove it, or set method to nf4"
_DOUBLE_QUANT_RULE: dict[str, JsonValue] = {
    "rule": "self.method == 'nf4' || !has(self.doubleQuant) || !self.doubleQuant",
    "message": _DOUBLE_QUANT_MESSAGE,
    "fieldPath": ".doubleQuant",
}


class Quantization(Api):
    """How the base model's weights are held in memory. Serve with what the adapter was trained on."""

    model_config = ConfigDict(json_schema_extra={"x-kubernetes-validations": [_DOUBLE_QUANT_RULE]})

    method: Literal["nf4", "none"] = Field(
        default="nf4",
        description="nf4: 4-bit NormalFloat, as QLoRA trains. none: computeDtype, not quantised.",
    )
    # No default in the schema: the API server would fill it in, and so refuse a plain `method: none`.
    double_quant: bool | None = Field(
        default=None,
        description="Quantise the quantisation constants too, which saves about 0.4 bits per weight."
        " With nf4 it is on unless set to false.",
    )
    compute_dtype: Literal["bfloat16", "float16", "float32"] = Field(
        default="bfloat16",
        description="Number format of the arithmetic. float16 is for GPUs without bfloat16; float32 is slow on GPUs."
        " A CPU without kernels for the format computes in float32; status.checkpoint.quantization says so.",
    )

    @property
    def doubles(self) -> bool:
        """Whether double quantisation is on."""
        return self.method == "nf4" and self.double_quant is not False

    @model_validator(mode="after")
    def _double_quant_needs_nf4(self) -> Self:
        if self.method != "nf4" and self.double_quant:
            raise ValueError(_DOUBLE_QUANT_MESSAGE)
        return self


class Serving(Api):
    """What one replica answers, and its limits."""

    max_model_len: int = Field(
        default=2048, ge=16, le=1_048_576, description="Longest prompt and answer together, in tokens."
    )
    max_concurrency: int = Field(
        default=32, ge=1, le=1024, description="Requests that one replica answers at once, in one batch."
    )
    max_queue: int = Field(
        default=64,
        ge=1,
        le=10_000,
        description="Requests that may wait in one replica; one more is answered 429.",
    )
    request_timeout_seconds: int = Field(
        default=120, ge=1, le=3600, description="Longest time of one request, waiting included, in seconds."
    )
    tasks: list[Task] = Field(
        default=[*TASKS],
        min_length=1,
        max_length=len(TASKS),
        description="What is served; requests for the rest are refused. generate: /api/v1/generate and the routes of"
        " OpenAI's clients. genomics: /api/v1/genomics/query. papers: /api/v1/papers/analyze.",
        json_schema_extra={"x-kubernetes-list-type": "set"},
    )


# The API server fills an empty object with the defaults of its fields.
_DEFAULTED: dict[str, JsonValue] = {"default": {}}


class Spec(Api):
    """What to serve, on what, and how much of it."""

    model_config = ConfigDict(json_schema_extra={"x-kubernetes-validations": REACH_RULES})

    checkpoint: Source = Field(
        description="The fine-tuned adapter: a folder with adapter_config.json, adapter_model.safetensors."
    )
    base_model: Source = Field(
        description="The model that the adapter was trained on: config.json, safetensors and tokenizer."
    )
    quantization: Quantization = Field(
        default_factory=Quantization,
        description="How the base model is held in memory. Serve with what the adapter was trained on.",
        json_schema_extra=_DEFAULTED,
    )
    profile: ProfileName | None = Field(
        default=None,
        description="Name of an accelerator profile that the administrator defined in the chart's values;"
        " absent: the administrator's default.",
    )
    serving: Serving = Field(
        default_factory=Serving,
        description="What one replica answers, and its limits.",
        json_schema_extra=_DEFAULTED,
    )
    science: Science = Field(
        default_factory=Science,
        description="What the lab brings for questions about genes and for papers: names, calibration.",
    )
    replicas: int = Field(
        default=1,
        ge=0,
        le=MOST_REPLICAS,
        description="Pods that serve this model. 0 stops it and keeps its address."
        " Ignored while an autoscaler decides.",
    )
    autoscaling: Autoscaling | None = Field(
        default=None,
        description="How many pods there are, by load; absent: spec.replicas.",
    )

    @property
    def sources(self) -> dict[str, Source]:
        """Every source that is named, by its field, in the order in which they are fetched."""
        brought = self.science.files.items()
        return {
            "spec.checkpoint": self.checkpoint,
            "spec.baseModel": self.base_model,
            **{f"{PLACES[place]}.source": held for place, held in brought if isinstance(held, Source)},
        }

    @model_validator(mode="after")
    def _targets_can_be_reached(self) -> Self:
        check_reach((self.autoscaling.metrics if self.autoscaling else None) or [], self.serving)
        return self


class Condition(Api):
    """One statement about the model. False: your turn. Unknown: ours, still trying. True: it works."""

    type: Annotated[str, StringConstraints(max_length=64)] = Field(
        description="The question: Ready, CheckpointVerified, AdapterEffective, Progressing or AutoscalingActive."
    )
    status: Literal["True", "False", "Unknown"] = Field(description="The answer.")
    reason: Annotated[str, StringConstraints(max_length=64)] = Field(description="One word, for programs.")
    message: LongText = Field(description="What is the case and what to do, for people.")
    last_transition_time: Annotated[str, StringConstraints(max_length=32)] = Field(
        description="When status last changed.", json_schema_extra={"format": "date-time"}
    )
    observed_generation: int = Field(ge=0, le=2**53, description="The metadata.generation that this speaks of.")


class LoadedCheckpoint(Api):
    """The checkpoint as the pods loaded it."""

    digest: Annotated[str, StringConstraints(max_length=128)] = Field(
        description="sha256 over the files that were read."
    )
    base_model: Annotated[str, StringConstraints(max_length=1024)] | None = Field(
        default=None, description="The base model that the checkpoint says it was trained on."
    )
    rank: int | None = Field(default=None, ge=1, le=65_536, description="Rank of the adapter; a whole model has none.")
    alpha: float | None = Field(
        default=None, ge=0, le=1e6, description="Scale of the adapter, before it is divided by the rank."
    )
    target_modules: list[ShortText] = Field(
        max_length=256,
        description="The layers that the adapter changes.",
        json_schema_extra={"x-kubernetes-list-type": "atomic"},
    )
    quantization: ShortText = Field(description="How the base model is held, e.g. nf4/bfloat16.")
    kind: ShortText | None = Field(
        default=None, description="adapter: LoRA beside the base model. model: a whole one, merged or fully fine-tuned."
    )
    folder: LongText | None = Field(
        default=None, description="The folder that was chosen inside the checkpoint's; . for that folder itself."
    )
    trainer: ShortText | None = Field(default=None, description="What trained it, with its version where written.")
    training_step: int | None = Field(default=None, ge=0, le=2**53, description="Optimizer steps until it was saved.")
    evaluation_loss: float | None = Field(default=None, ge=-1e6, le=1e6, description="The trainer's own, at that step.")
    quantization_match: Literal["Match", "Mismatch", "Unknown"] | None = Field(
        default=None,
        description="Whether the base model is held as it was in training. Unknown: the trainer wrote it nowhere.",
    )
    revision: ShortText | None = Field(
        default=None, description="What pins the version that was fetched: a commit (hf), a manifest's digest (oci)."
    )
    content_digest: Annotated[str, StringConstraints(max_length=128)] | None = Field(
        default=None,
        description="sha256 over all files that were fetched; its digits in spec.checkpoint.sha256 pin it.",
    )


class Status(Api):
    """What the operator saw. Written by the operator only."""

    observed_generation: int | None = Field(
        default=None, ge=0, le=2**53, description="The metadata.generation that the operator last acted on."
    )
    conditions: list[Condition] | None = Field(
        default=None,
        max_length=16,
        description="Ready, CheckpointVerified, AdapterEffective, Progressing, AutoscalingActive.",
        json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]},
    )
    url: Annotated[str, StringConstraints(max_length=1024)] | None = Field(
        default=None, description="Where to send requests from inside the cluster."
    )
    replicas: int | None = Field(default=None, ge=0, le=10_000, description="Pods that exist.")
    ready_replicas: int | None = Field(default=None, ge=0, le=10_000, description="Pods that are ready.")
    selector: Annotated[str, StringConstraints(max_length=512)] | None = Field(
        default=None, description="Label selector of the pods, for the scale subresource."
    )
    checkpoint: LoadedCheckpoint | None = Field(
        default=None, description="What the ready pods loaded; absent while none is ready."
    )
    autoscaling: AutoscalingStatus | None = Field(
        default=None, description="What the autoscaler sees and decided; absent without spec.autoscaling."
    )


class ScientificModel(Api):
    """A fine-tuned language model that is served. Name a checkpoint; get a URL that answers."""

    spec: Spec = Field(description="What to serve, on what, and how much of it.")
    status: Status | None = Field(default=None, description="What the operator saw; written by the operator only.")
