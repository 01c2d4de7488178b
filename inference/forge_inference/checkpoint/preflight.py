"""An adapter's files, checked against the base model before either is loaded."""

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from forge_inference.checkpoint import headers
from forge_inference.checkpoint.base import Base
from forge_inference.checkpoint.errors import CheckpointError, Reason
from forge_inference.checkpoint.headers import Tensor

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
_LARGEST_CONFIG = 2**20  # bytes
_NEEDED = ("peft_type", "r", "lora_alpha", "target_modules")  # PEFT would take a default without a word
_KEY = re.compile(r"base_model\.model\.(?P<module>.+)\.lora_(?P<side>[AB])\.weight")


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e9


def _rank(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= 65_536


def _modules(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(name, str) for name in value)


def _boolean(value: object) -> bool:
    return isinstance(value, bool)


def _text(value: object) -> bool:
    return isinstance(value, str)


# What a key may hold. Any other key must be empty: it would ask for something that is not served, and some of
# PEFT's keys name code to import or patterns to match.
_ALLOWED: dict[str, Callable[[object], bool]] = {
    "peft_type": lambda value: value == "LORA",
    "task_type": lambda value: value == "CAUSAL_LM",
    "bias": lambda value: value == "none",
    "r": _rank,
    "lora_alpha": _number,
    "lora_dropout": _number,
    "target_modules": _modules,  # a list of names; a lone string would be a pattern
    "use_rslora": _boolean,
    "inference_mode": _boolean,
    # PiSSA and its like change the base's weights as well, which an adapter alone does not carry.
    "init_lora_weights": lambda value: isinstance(value, bool) or value in ("gaussian", "orthogonal"),
    "base_model_name_or_path": _text,
    "revision": _text,
    "peft_version": _text,
    "megatron_core": lambda value: value == "megatron.core",  # the default that PEFT writes; not read
    "qalora_group_size": _number,  # likewise
}


@dataclass(frozen=True)
class Adapter:
    """What the files say. `digest` is the SHA-256 of both, as `sha256:…`."""

    digest: str
    base_model: str | None
    rank: int
    alpha: float
    target_modules: tuple[str, ...]
    modules: tuple[str, ...]  # the base model's layers, by their full names
    rank_stabilised: bool  # scaled by alpha / sqrt(rank) instead of alpha / rank


def check(folder: Path, uri: str, base: Base) -> Adapter:
    """Raises CheckpointError with one of its reasons; the message names file and key."""
    if not folder.is_dir():
        raise _wrong(
            "CheckpointNotFound",
            f"Checkpoint {uri}: there is no folder {folder}; correct spec.checkpoint.uri or the volume",
        )
    config = _config(folder / CONFIG, uri)
    path = folder / WEIGHTS
    if not path.is_file():
        raise _wrong(
            "CheckpointNotFound",
            f"Checkpoint {uri} has no {WEIGHTS}; save the adapter as safetensors, pickled files are not opened",
        )
    tensors = headers.read(path)
    modules = _pairs(tensors, config["r"])
    _fit(modules, tensors, base)
    _complete(modules, config["target_modules"], base)
    _values(path, tensors)
    return Adapter(
        digest=_digest(folder / CONFIG, path),
        base_model=config.get("base_model_name_or_path") or None,
        rank=config["r"],
        alpha=float(config["lora_alpha"]),
        target_modules=tuple(sorted({module.rpartition(".")[2] for module in modules})),
        modules=tuple(modules),
        rank_stabilised=bool(config.get("use_rslora")),
    )


def _config(path: Path, uri: str) -> dict[str, Any]:
    try:
        text = path.read_bytes()
    except FileNotFoundError as error:
        raise _wrong("CheckpointNotFound", f"Checkpoint {uri} has no {CONFIG} in {path.parent}") from error
    if len(text) > _LARGEST_CONFIG:
        raise _invalid(f"{CONFIG} is larger than 1 MiB")
    try:
        config = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _invalid(f"{CONFIG} is not JSON") from error
    if not isinstance(config, dict):
        raise _invalid(f"{CONFIG} is not a JSON object")
    for key in _NEEDED:
        if key not in config:
            raise _invalid(f"{CONFIG}: {key} is missing")
    for key, value in config.items():
        if key not in _NEEDED and value in (None, False, {}, []):
            continue
        allowed = _ALLOWED.get(key)
        if allowed is None or not allowed(value):
            shown = json.dumps(value)[:80]
            raise _invalid(f"{CONFIG}: {key} = {shown} is not served; plain LoRA on linear layers is")
    return config


def _pairs(tensors: dict[str, Tensor], rank: int) -> dict[str, tuple[str, str]]:
    """Module to the names of its A and B."""
    if not tensors:
        raise _wrong("CheckpointIncomplete", f"{WEIGHTS} has no tensors; save the adapter after training")
    sides: dict[str, dict[str, str]] = {}
    for name in tensors:
        found = _KEY.fullmatch(name)
        if found is None or found["module"].startswith(("base_model.", "module.", "_orig_mod.")):
            raise _invalid(f"{WEIGHTS}: {name} is not a tensor of a LoRA adapter as PEFT saves it")
        sides.setdefault(found["module"], {})[found["side"]] = name
    for module, names in sides.items():
        for side in "AB":
            if side not in names:
                raise _wrong("CheckpointIncomplete", f"{WEIGHTS}: {module} has no lora_{side}")
            shape = tensors[names[side]].shape
            if len(shape) != 2 or shape["AB".index(side)] != rank or 0 in shape:
                raise _invalid(f"{WEIGHTS}: {names[side]} has the shape {list(shape)}, but {CONFIG} says r = {rank}")
    return {module: (names["A"], names["B"]) for module, names in sides.items()}


def _fit(modules: dict[str, tuple[str, str]], tensors: dict[str, Tensor], base: Base) -> None:
    for module, (a, b) in modules.items():
        weight = base.weights.get(f"{module}.weight")
        if weight is None:
            raise _wrong("BaseModelMismatch", f"{WEIGHTS}: the base model has no layer {module}")
        adapted = (tensors[b].shape[0], tensors[a].shape[1])
        if not base.quantized and adapted != weight.shape:
            raise _wrong(
                "BaseModelMismatch",
                f"{WEIGHTS}: {module} is for weights of the shape {list(adapted)}, the base model's have "
                f"{list(weight.shape)}; spec.baseModel.uri must name the model that the adapter was trained on",
            )


def _complete(modules: dict[str, tuple[str, str]], targets: list[str], base: Base) -> None:
    """PEFT fills what is missing with zeros, and passes over what is not named, with a warning at most."""
    named = {
        layer
        for layer in (name.removesuffix(".weight") for name in base.weights if name.endswith(".weight"))
        if any(f".{layer}".endswith(f".{target}") for target in targets)
    }
    if missing := sorted(named - modules.keys()):
        raise _wrong(
            "CheckpointIncomplete",
            f"{WEIGHTS} lacks {len(missing)} of the {len(named)} layers that {CONFIG} names in target_modules, "
            f"{missing[0]} for one; copy or save the adapter again",
        )
    if unnamed := sorted(modules.keys() - named):
        raise _invalid(f"{CONFIG}: target_modules does not name {unnamed[0]}, which {WEIGHTS} has")


def _values(path: Path, tensors: dict[str, Tensor]) -> None:
    """Raises unless every number is finite and some lora_B is not zero, as each is before training."""
    effective = False
    with path.open("rb") as file:
        for name, tensor in tensors.items():
            file.seek(tensor.start)
            finite, zero = _look(file.read(tensor.end - tensor.start), tensor.dtype)
            if not finite:
                raise _invalid(f"{WEIGHTS}: {name} has numbers that are not finite; training diverged")
            effective = effective or (not zero and ".lora_B." in name)
    if not effective:
        raise _wrong("AdapterIneffective", f"{WEIGHTS}: every lora_B is zero; the adapter was saved before training")


def _look(raw: bytes, dtype: str) -> tuple[bool, bool]:
    """Whether all numbers are finite, and whether all are zero."""
    if dtype == "BF16":  # which numpy does not know: the upper half of a float32
        values = (np.frombuffer(raw, "<u2").astype("<u4") << 16).view("<f4")
    elif dtype in ("F16", "F32", "F64"):
        values = np.frombuffer(raw, {"F16": "<f2", "F32": "<f4", "F64": "<f8"}[dtype])
    else:
        raise _invalid(f"{WEIGHTS}: an adapter in {dtype} is not served")
    return bool(np.isfinite(values).all()), not bool(values.any())


def _digest(*paths: Path) -> str:
    total = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            part = hashlib.file_digest(file, "sha256").hexdigest()
        total.update(f"{path.name} {part}\n".encode())
    return f"sha256:{total.hexdigest()}"


def _wrong(reason: Reason, message: str) -> CheckpointError:
    return CheckpointError(reason, f"{message}.")


def _invalid(message: str) -> CheckpointError:
    return _wrong("CheckpointInvalid", message)
