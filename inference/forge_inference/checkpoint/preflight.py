"""A checkpoint's files, checked before anything is loaded; an adapter's against the base model."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from forge_inference.checkpoint import config as config_room
from forge_inference.checkpoint import facts as facts_room
from forge_inference.checkpoint import files, headers, layout, tensors, tokenizer
from forge_inference.checkpoint.base import Base
from forge_inference.checkpoint.config import MERGE
from forge_inference.checkpoint.errors import CheckpointError, Findings
from forge_inference.checkpoint.facts import Facts
from forge_inference.checkpoint.headers import Tensor
from forge_inference.checkpoint.layout import CONFIG, MODEL_CONFIG, WEIGHTS, Choice
from forge_inference.checkpoint.strangers import GATHER, SHARDS
from forge_inference.checkpoint.watch import Watched

_LARGEST = 16 * 2**30  # bytes; rank 256 on every layer of a 70B model
_PART = 8 * 2**20  # bytes that are looked at at once


@dataclass(frozen=True)
class Adapter:
    """What a checkpoint's files say. A whole model has neither rank nor alpha, nor layers of its own.

    `digest` is the SHA-256 of the weights and their configuration, as `sha256:…`.
    """

    digest: str
    choice: Choice
    facts: Facts
    watched: Watched
    rank: int | None = None
    alpha: float | None = None
    modules: Mapping[str, float] = field(default_factory=dict)  # the base model's layers, by full name, and their scale
    chat_template: str | None = None  # the checkpoint's own
    notes: tuple[str, ...] = ()

    @property
    def base_model(self) -> str | None:
        return self.facts.base_model

    @property
    def target_modules(self) -> tuple[str, ...]:
        return tuple(sorted({module.rpartition(".")[2] for module in self.modules}))

    @property
    def weights(self) -> Path:
        """The adapter's file."""
        return self.choice.folder / WEIGHTS


def check(folder: Path, uri: str, base: Base) -> Adapter:
    """The adapter of a run. Raises CheckpointError with the first of its problems; the message names file and key."""
    choice = layout.choose(folder, uri)
    if choice.kind != "adapter":
        raise CheckpointError(
            "CheckpointUnsupported", f"Checkpoint {uri} is a whole model, and an adapter for the served one is wanted."
        )
    findings = Findings()
    adapter = survey(choice, base, findings)
    if findings.problems or adapter is None:
        raise findings.problems[0]
    return adapter


def survey(choice: Choice, base: Base | None, findings: Findings) -> Adapter | None:
    """All that can be said of an adapter, without a base model as well; None when it could not be read."""
    facts = facts_room.read(choice, findings)
    path = choice.folder / WEIGHTS
    config = config_room.read(choice.folder, choice.root, findings)
    try:
        found = headers.read(path, choice.root)
        stamps = tuple(files.stamp(each) for each in (choice.folder / CONFIG, path) if each.exists())
    except FileNotFoundError:
        findings.wrong("CheckpointIncomplete", f"{WEIGHTS} was there a moment ago; its folder is being written")
        return None
    except CheckpointError as error:
        findings.problems.append(error)
        return None
    if not found:
        _empty(choice, findings)
    if stamps[-1].size > _LARGEST:
        findings.wrong("CheckpointUnsupported", f"{WEIGHTS} is larger than any adapter; is it a whole model?")
    pairs = tensors.pairs(found, findings)
    if config is not None:
        tensors.shapes(pairs, found, config, findings)
    if base is not None:
        tensors.fits(pairs, found, base, findings)
        if config is not None and not findings.problems:
            tensors.complete(pairs, config, base, findings)
        _same_base(choice, base, findings)
    template = tokenizer.survey(choice, base, findings)
    if findings.problems or config is None:
        return None
    _values(path, found, findings)
    return Adapter(
        digest=_digest((choice.folder / CONFIG, path)),
        choice=choice,
        facts=facts,
        rank=config.rank,
        alpha=config.alpha,
        modules={module: config.scale_of(module) for module in pairs},
        chat_template=template,
        watched=Watched(choice, stamps),
        notes=tuple(findings.notes),
    )


def whole(choice: Choice, model: Base, base_folder: Path) -> Adapter:
    """A whole model, read by `base.read`. Raises CheckpointError when its weights are those of the base model."""
    findings = Findings()
    facts = facts_room.read(choice, findings)
    paths = [Path(one.path) for one in model.files]
    weights = [path for path in paths if path.suffix == ".safetensors"]
    if all(files.same(path, base_folder / path.name) for path in weights):
        raise CheckpointError(
            "AdapterIneffective",
            f"{weights[0].name} has the base model's weights, to the last bit; name the folder of the trained model.",
        )
    return Adapter(
        digest=_digest(paths),
        choice=choice,
        facts=facts,
        watched=Watched(choice, model.files),
        notes=tuple(findings.notes),
    )


def _empty(choice: Choice, findings: Findings) -> None:
    names = layout.entries(choice.folder) | layout.entries(choice.root)
    if shard := next((name for name in sorted(names) if SHARDS.fullmatch(name)), None):
        findings.wrong(
            "CheckpointUnsupported",
            f"{WEIGHTS} has no tensors: DeepSpeed ZeRO-3 kept them in shards ({shard}); {GATHER}",
        )
    else:
        findings.wrong("CheckpointInvalid", f"{WEIGHTS} has no tensors; save the adapter after training, from rank 0")


# Of config.json: what two models of one architecture differ in.
_IDENTITY = (
    *("model_type", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads"),
    *("num_key_value_heads", "head_dim", "rope_theta"),
)


def _same_base(choice: Choice, base: Base, findings: Findings) -> None:
    """axolotl and unsloth leave the base model's config.json beside the adapter."""
    try:
        left = files.json_object(choice.folder / MODEL_CONFIG, choice.root)
    except (OSError, CheckpointError):  # absent, or noted by `facts`
        return
    for key in _IDENTITY:
        if key in left and key in base.config and left[key] != base.config[key]:
            findings.wrong(
                "BaseModelMismatch",
                f"{MODEL_CONFIG} beside the adapter: {key} = {str(left[key])[:40]}, the base model has "
                f"{str(base.config[key])[:40]}; spec.baseModel.uri must name the model that was trained on",
            )
            return
    rows, known = left.get("vocab_size"), base.config.get("vocab_size")
    if type(rows) is int and type(known) is int and rows != known:
        findings.wrong(
            "CheckpointUnsupported",
            f"{MODEL_CONFIG} beside the adapter: vocab_size = {rows}, the base model has {known}: the vocabulary was "
            f"resized in training; {MERGE}",
        )


def _values(path: Path, found: dict[str, Tensor], findings: Findings) -> None:
    """Every number is finite, and some lora_B is not zero, as each is before training."""
    effective = False
    with files.opened(path) as file:
        for name, tensor in found.items():
            if tensor.dtype not in ("BF16", *_FLOATS):
                findings.wrong(
                    "CheckpointUnsupported", f"{WEIGHTS}: {name} is in {tensor.dtype}; adapters are in floats"
                )
                return
            file.seek(tensor.start)
            for start in range(tensor.start, tensor.end, _PART):
                finite, zero = _look(file.read(min(_PART, tensor.end - start)), tensor.dtype)
                effective = effective or (not zero and ".lora_B." in name)
                if not finite:
                    findings.wrong(
                        "CheckpointInvalid", f"{WEIGHTS}: {name} has numbers that are not finite; training diverged"
                    )
                    return
    if not effective:
        findings.wrong("AdapterIneffective", f"{WEIGHTS}: every lora_B is zero; the adapter was saved before training")


_FLOATS = {"F16": "<f2", "F32": "<f4", "F64": "<f8"}


def _look(raw: bytes, dtype: str) -> tuple[bool, bool]:
    """Whether all numbers are finite, and whether all are zero."""
    if dtype == "BF16":  # which numpy does not know: not finite is an exponent of ones
        bits = np.frombuffer(raw, "<u2")
        return not bool(((bits & 0x7F80) == 0x7F80).any()), not bool((bits & 0x7FFF).any())
    values = np.frombuffer(raw, _FLOATS[dtype])
    return bool(np.isfinite(values).all()), not bool(values.any())


def _digest(paths: Iterable[Path]) -> str:
    total = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            part = hashlib.file_digest(file, "sha256").hexdigest()
        total.update(f"{path.name} {part}\n".encode())
    return f"sha256:{total.hexdigest()}"
