"""adapter_config.json, through a list of what it may say. Nothing in it is imported, and no pattern of it is run."""

import json
import math
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from forge_inference.checkpoint import files
from forge_inference.checkpoint.errors import CheckpointError, Findings
from forge_inference.checkpoint.layout import CONFIG

MERGE = (
    "merge it into the base model (PEFT: merge_and_unload on the base in 16 bits, save_pretrained) and name that folder"
)
LARGEST_RANK = 8192
_NEEDED = ("peft_type", "r", "lora_alpha", "target_modules")  # PEFT would take a default without a word
_NAME = re.compile(r"\^?[\w.-]{1,256}")  # of a layer, in full or from a dot on
_LAYER = re.compile(r"\.(\d+)\.")


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e6


def _rank(value: object) -> bool:
    return type(value) is int and 1 <= value <= LARGEST_RANK


def _text(value: object) -> bool:
    return isinstance(value, str) and len(value) <= 1024


def _boolean(value: object) -> bool:
    return isinstance(value, bool)


def _names(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(name, str) and _NAME.fullmatch(name) for name in value)


def _layers(value: object) -> bool:
    return all(type(number) is int and number >= 0 for number in (value if isinstance(value, list) else [value]))


def _by_name(allowed: Callable[[object], bool]) -> Callable[[object], bool]:
    return lambda value: isinstance(value, dict) and _names(list(value)) and all(map(allowed, value.values()))


def _auto_mapping(value: object) -> bool:
    """Classes by which PEFT's own loader finds the base model's class; not read here."""
    return isinstance(value, dict) and str(value.get("parent_library", "")).startswith("transformers.")


# What a key may hold when it holds anything.
_ALLOWED: dict[str, Callable[[object], bool]] = {
    "r": _rank,
    "lora_alpha": _number,
    "lora_dropout": _number,
    "target_modules": lambda value: _names(value) or _text(value),
    "exclude_modules": _names,
    "layers_to_transform": _layers,
    "layers_pattern": lambda value: _names(value) or _names([value]),
    "rank_pattern": _by_name(_rank),
    "alpha_pattern": _by_name(_number),
    "use_rslora": _boolean,
    "inference_mode": _boolean,
    "base_model_name_or_path": _text,
    "revision": _text,
    "peft_version": _text,
    "auto_mapping": _auto_mapping,
    "megatron_core": lambda value: value == "megatron.core",  # the default that PEFT writes; not read
    "qalora_group_size": _number,  # likewise
}
# What is not plain LoRA on linear layers: what may stand there all the same, and what to do with the rest.
_KINDS: dict[str, tuple[Callable[[object], bool], str]] = {
    "peft_type": (lambda value: value == "LORA", f"LoRA is; {MERGE}"),
    "task_type": (lambda value: value == "CAUSAL_LM", "only CAUSAL_LM generates text"),
    "bias": (lambda value: value == "none", f"trained biases are not part of LoRA; {MERGE}"),
    "lora_bias": (lambda value: False, MERGE),
    "use_dora": (lambda value: False, f"DoRA rescales the base model's own weights; {MERGE}"),
    "modules_to_save": (lambda value: False, f"these layers were trained whole; {MERGE}"),
    "trainable_token_indices": (lambda value: False, f"rows of the embedding were trained; {MERGE}"),
    "target_parameters": (lambda value: False, f"LoRA on single parameters; {MERGE}"),
    "layer_replication": (lambda value: False, MERGE),
    "fan_in_fan_out": (lambda value: False, f"transposed layers; {MERGE}"),
    "use_qalora": (lambda value: False, MERGE),
    "alora_invocation_tokens": (lambda value: False, "an adapter that switches itself on"),
    "init_lora_weights": (
        lambda value: isinstance(value, bool) or value in ("gaussian", "orthogonal"),
        "it changed the base model's weights as well; save it with PEFT's path_initial_model_for_weight_conversion",
    ),
}


@dataclass(frozen=True)
class AdapterConfig:
    """What adapter_config.json says of a LoRA adapter."""

    rank: int
    alpha: float
    targets: tuple[str, ...] | None  # None: a pattern, which is not run
    base_model: str | None
    peft_version: str | None
    rank_stabilised: bool  # scaled by alpha / sqrt(rank) instead of alpha / rank
    excluded: tuple[str, ...] = ()
    layers: frozenset[int] | None = None  # None: all
    layers_in: tuple[str, ...] = ()  # names before a layer's number; empty: any
    ranks: dict[str, int] = field(default_factory=dict)  # of single layers, by a part of their names
    alphas: dict[str, float] = field(default_factory=dict)

    def rank_of(self, module: str) -> int:
        return self.ranks.get(_matching(self.ranks, module), self.rank)

    def scale_of(self, module: str) -> float:
        rank, alpha = self.rank_of(module), self.alphas.get(_matching(self.alphas, module), self.alpha)
        return alpha / (math.sqrt(rank) if self.rank_stabilised else rank)

    def names(self, module: str) -> bool:
        """Whether PEFT would have put LoRA on this layer of the base model. Only without a pattern."""
        if not _ends(module, self.targets or ()) or _ends(module, self.excluded):
            return False
        return self.layers is None or _number_of(module, self.layers_in) in self.layers


def read(folder: Path, within: Path, findings: Findings) -> AdapterConfig | None:
    """None when there is nothing to go on with."""
    try:
        content = files.json_object(folder / CONFIG, within)
    except FileNotFoundError:
        findings.wrong(
            "CheckpointNotFound", f"{folder.name} has adapter_model.safetensors and no {CONFIG}; copy or save it again"
        )
        return None
    except CheckpointError as error:
        findings.problems.append(error)
        return None
    before = len(findings.problems)
    if content.get("peft_type", "LORA") != "LORA":  # whatever else it says is of that kind
        _judge("peft_type", content["peft_type"], findings)
        return None
    for key in _NEEDED:
        if key not in content:
            findings.wrong("CheckpointInvalid", f"{CONFIG}: {key} is missing{_MISSING.get(key, '')}")
    for key, value in content.items():
        _judge(key, value, findings)
    if len(findings.problems) > before:
        return None
    targets, only = content["target_modules"], content.get("layers_to_transform")
    if isinstance(targets, str):
        findings.note(
            f"{CONFIG}: target_modules is a pattern; which layers it means is not checked, but that all have the same"
        )
    return AdapterConfig(
        rank=content["r"],
        alpha=float(content["lora_alpha"]),
        targets=None if isinstance(targets, str) else tuple(targets),
        base_model=content.get("base_model_name_or_path") or None,
        peft_version=content.get("peft_version") or None,
        rank_stabilised=bool(content.get("use_rslora")),
        excluded=tuple(content.get("exclude_modules") or ()),
        layers=None if only in (None, []) else frozenset(only if isinstance(only, list) else [only]),
        layers_in=tuple(_listed(content.get("layers_pattern"))),
        ranks=content.get("rank_pattern") or {},
        alphas={name: float(alpha) for name, alpha in (content.get("alpha_pattern") or {}).items()},
    )


_MISSING = {
    "peft_type": "; mlx writes none: fuse such an adapter with `mlx_lm.fuse`",
    "lora_alpha": "; with PEFT's default the adapter would be scaled wrongly",
}


def _judge(key: str, value: Any, findings: Findings) -> None:
    if key not in _NEEDED and value in (None, False, {}, []) and type(value) is not int:
        return
    shown = f"{CONFIG}: {key[:80]} = {json.dumps(value)[:80]}"
    if kind := _KINDS.get(key):
        allowed, advice = kind
        if not allowed(value):
            findings.wrong("CheckpointUnsupported", f"{shown} is not served: {advice}")
    elif key not in _ALLOWED:
        findings.wrong("CheckpointUnsupported", f"{shown} is not known here and not empty; {MERGE}")
    elif not _ALLOWED[key](value):
        findings.wrong("CheckpointInvalid", f"{shown} is not what PEFT writes there")


def _matching(patterns: Iterable[str], module: str) -> str:
    """The first that means this layer, as PEFT takes them: its patterns are names here, `^` stands at the beginning."""
    return next((name for name in patterns if _ends(module, [name]) or name == f"^{module}"), "")


def _ends(module: str, names: Iterable[str]) -> bool:
    return any(f".{module}".endswith(f".{name}") for name in names)


def _number_of(module: str, after: tuple[str, ...]) -> int | None:
    """Of the layer, by the first number in its name (of an expert's, the second would be the expert's)."""
    for found in _LAYER.finditer(module):
        if not after or any(f".{module[: found.start()]}".endswith(f".{name}") for name in after):
            return int(found[1])
    return None


def _listed(value: Any) -> list[str]:
    return value if isinstance(value, list) else [value] if value else []
