"""The adapter's tensors, from their names and shapes, against its configuration and the base model."""

import re
from collections.abc import Mapping

from forge_inference.checkpoint.base import Base
from forge_inference.checkpoint.config import MERGE, AdapterConfig
from forge_inference.checkpoint.errors import Findings
from forge_inference.checkpoint.headers import Tensor
from forge_inference.checkpoint.layout import CONFIG, WEIGHTS

Pairs = dict[str, tuple[str, str]]  # layer to the names of its A and B

_KEY = re.compile(r"base_model\.model\.(?P<module>.+)\.lora_(?P<side>[AB])\.weight")
_WRAPPED = re.compile(r"(?:.*\.)?(_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module|module)\..*")
_WIDEST = 2**20  # of a layer
_SHOWN = 3  # problems of one kind: a broken file has hundreds
# Names that other tools or other kinds of adapters give, and what to do. In this order.
_OTHERS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r".*\.lora_magnitude_vector(\..*)?"), f"is of DoRA, which is not served: {MERGE}"),
    (re.compile(r".*\.lora_embedding_[AB]"), f"is LoRA on an embedding, which is not served: {MERGE}"),
    (re.compile(r".*\.lora_[AB]\.bias|.*\.bias"), f"is a trained bias, which is not served: {MERGE}"),
    (
        re.compile(r"base_model\.model\..*(embed|wte|lm_head)[^.]*(\.modules_to_save)?(\.\w+)?\.weight"),
        f"is a whole embedding, trained or resized for new tokens, which is not served: {MERGE}",
    ),
    (re.compile(r".*\.modules_to_save\..*"), f"is a layer that was trained whole, which is not served: {MERGE}"),
    (re.compile(r"layers\.\d+\.(attn|mlp)\..*\.lora_[ab]\.weight"), "is torchtune's own name; save in PEFT's format"),
    (re.compile(r".*\.lora_[ab]"), "is mlx's name: fuse the adapter with `mlx_lm.fuse --de-quantize`"),
    (re.compile(r"model\.layers\..*\.weight"), "is of a whole model: rename the file to model.safetensors"),
)


def pairs(tensors: Mapping[str, Tensor], findings: Findings) -> Pairs:
    """Each layer's A and B. Names that are not PEFT's are told."""
    sides: dict[str, dict[str, str]] = {}
    strange: dict[str, str] = {}
    for name in tensors:
        found = _KEY.fullmatch(name)
        if found and not _WRAPPED.fullmatch(name) and not found["module"].startswith("base_model."):
            sides.setdefault(found["module"], {})[found["side"]] = name
        else:
            strange.setdefault(_why_strange(name), name)
    for why, name in list(strange.items())[:_SHOWN]:
        unsupported = any(why == advice for _, advice in _OTHERS)
        findings.wrong(
            "CheckpointUnsupported" if unsupported else "CheckpointInvalid", f"{WEIGHTS}: {name[:200]} {why}"
        )
    halves = [(module, side) for module, names in sides.items() for side in "AB" if side not in names]
    for module, side in halves[:_SHOWN]:
        findings.wrong(
            "CheckpointInvalid", f"{WEIGHTS}: {module[:200]} has no lora_{side}; copy or save the adapter again"
        )
    return {module: (names["A"], names["B"]) for module, names in sides.items() if len(names) == len("AB")}


def _why_strange(name: str) -> str:
    if wrapped := _WRAPPED.fullmatch(name):
        return (
            f"has {wrapped[1]} in its name: the model was saved from inside a wrapper, and PEFT would load nothing; "
            "save the unwrapped model (accelerate: unwrap_model)"
        )
    if re.fullmatch(r".*\.lora_[AB]\.[^.]+\.weight", name):
        return "has an adapter's name in it, as a whole state dict does; save with PEFT's save_pretrained"
    return next(
        (why for pattern, why in _OTHERS if pattern.fullmatch(name)),
        "is not a tensor of a LoRA adapter as PEFT saves it",
    )


def shapes(found: Pairs, tensors: Mapping[str, Tensor], config: AdapterConfig, findings: Findings) -> None:
    """Each pair against the rank that the configuration says."""
    wrong = []
    for module, names in found.items():
        rank = config.rank_of(module)
        for side, name in zip("AB", names, strict=True):
            shape = tensors[name].shape
            if len(shape) != 2 or shape["AB".index(side)] != rank or not 0 < max(shape) <= _WIDEST or 0 in shape:
                said = "rank_pattern or r" if config.ranks else "r"
                wrong.append(
                    f"{WEIGHTS}: {name[:200]} has the shape {list(shape)}, but {CONFIG} says {said} = {rank}; "
                    "the two are of different trainings"
                )
    for message in wrong[:_SHOWN]:
        findings.wrong("CheckpointInvalid", message)


def fits(found: Pairs, tensors: Mapping[str, Tensor], base: Base, findings: Findings) -> None:
    """Each pair against the layer of the base model."""
    missing = sorted(module for module in found if f"{module}.weight" not in base.weights)
    if missing:
        findings.wrong("BaseModelMismatch", f"{WEIGHTS}: the base model has no layer {missing[0][:200]}{_and(missing)}")
    wrong = []
    for module, (a, b) in found.items():
        adapted = (tensors[b].shape[0], tensors[a].shape[1])
        if f"{module}.weight" in base.weights and (weight := base.shape(module)) not in (None, adapted):
            wrong.append(
                f"{WEIGHTS}: {module} is for weights of the shape {list(adapted)}, the base model's have "
                f"{list(weight or ())}"
            )
    if wrong:
        findings.wrong(
            "BaseModelMismatch",
            f"{wrong[0]}{_and(wrong)}; spec.baseModel.uri must name the model that the adapter was trained on",
        )


def complete(found: Pairs, config: AdapterConfig, base: Base, findings: Findings) -> None:
    """PEFT fills what is missing with zeros, and passes over what is not named, with a warning at most."""
    layers = [name.removesuffix(".weight") for name in base.weights if name.endswith(".weight")]
    if config.targets is None:  # a pattern is not run: what one layer of the model has, all must have
        kinds = {_kind(module) for module in found}
        named = {layer for layer in layers if _kind(layer) in kinds}
    else:
        named = {layer for layer in layers if config.names(layer)}
    if missing := sorted(named - found.keys()):
        findings.wrong(
            "CheckpointInvalid",
            f"{WEIGHTS} lacks {len(missing)} of the {len(named)} layers that {CONFIG} names in target_modules, "
            f"{missing[0]} for one; copy or save the adapter again",
        )
    if unnamed := sorted(found.keys() - named):
        findings.wrong(
            "CheckpointInvalid",
            f"{CONFIG}: target_modules does not name {unnamed[0]}{_and(unnamed)}, which {WEIGHTS} has",
        )


def _kind(module: str) -> str:
    return re.sub(r"\.\d+\.", ".*.", module)


def _and(several: list[str]) -> str:
    return f" and {len(several) - 1} more" if len(several) > 1 else ""
