"""A whole model's folder: is everything there, and which shapes do its weights have?"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from forge_inference.checkpoint import files, headers
from forge_inference.checkpoint.errors import CheckpointError, Reason
from forge_inference.checkpoint.files import Stamp
from forge_inference.checkpoint.headers import Tensor

# Looked up by their row, never multiplied: quantisation leaves them alone.
_TABLES = ("embed", "wte", "wpe", "lm_head")
_NF4 = ".weight.quant_state.bitsandbytes__nf4"  # holds what four bits do not show, as JSON in bytes
_INDEX_SIZE = 16 * 2**20  # bytes: a line for each tensor


@dataclass(frozen=True)
class Whose:
    """In which words a model's folder is told of."""

    what: str
    field: str
    missing: Reason
    tokenizer: bool = True  # whether it must have one of its own


BASE = Whose("Base model", "spec.baseModel.uri", "BaseModelNotFound")
CHECKPOINT = Whose("Checkpoint", "spec.checkpoint.uri", "CheckpointNotFound", tokenizer=False)


@dataclass(frozen=True)
class Base:
    """What the files say. `weights` is by the parameter's full name."""

    config: dict[str, Any]
    weights: dict[str, Tensor]
    unpacked: dict[str, tuple[int, ...]] = field(default_factory=dict)  # layer to its shape before quantisation
    files: tuple[Stamp, ...] = ()
    folder: Path | None = None

    @property
    def quantized(self) -> bool:
        """Whether the weights are stored quantised, so that their own shapes say nothing."""
        return bool(self.config.get("quantization_config"))

    def shape(self, layer: str) -> tuple[int, ...] | None:
        """Of a layer's weights, (out, in); None when it is quantised and does not tell."""
        if layer in self.unpacked:
            return self.unpacked[layer]
        stored = self.weights[f"{layer}.weight"]
        return None if self.quantized and stored.dtype == "U8" else stored.shape

    def linear(self) -> dict[str, tuple[int, int]]:
        """Name to (out, in) of the layers that quantisation would change, or has changed."""
        if self.unpacked:
            return {layer: (shape[0], shape[1]) for layer, shape in self.unpacked.items() if len(shape) == 2}
        return {
            name.removesuffix(".weight"): (tensor.shape[0], tensor.shape[1])
            for name, tensor in self.weights.items()
            if name.endswith(".weight") and len(tensor.shape) == 2 and not any(table in name for table in _TABLES)
        }


def read(folder: Path, uri: str, whose: Whose = BASE) -> Base:
    """Raises CheckpointError: `whose.missing` names what is missing, CheckpointInvalid what is broken."""
    if not folder.is_dir():
        raise _missing(uri, whose, f"there is no folder {folder}")
    config = _json(folder / "config.json", uri, whose, files.SMALL)
    if whose.tokenizer and not (folder / "tokenizer.json").is_file():
        raise _missing(uri, whose, "it has no tokenizer.json")
    within = folder if whose is CHECKPOINT else None  # a base model may lie in a hub's cache, which is full of links
    weights: dict[str, Tensor] = {}
    unpacked: dict[str, tuple[int, ...]] = {}
    stamps = [files.stamp(folder / "config.json")]
    for path in _files(folder, uri, whose):
        try:
            found = headers.read(path, within)
        except FileNotFoundError as error:
            raise _missing(uri, whose, f"{path.name} is named in the index and missing") from error
        stamps.append(files.stamp(path))
        unpacked |= _unpacked(path, found)
        weights |= found
    tied = config.get("tie_word_embeddings") is True and "lm_head.weight" not in weights
    if tied and (table := weights.get("model.embed_tokens.weight")):
        weights["lm_head.weight"] = table  # one tensor, stored once
    return Base(config, weights, unpacked, tuple(stamps), folder)


def _files(folder: Path, uri: str, whose: Whose) -> list[Path]:
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        names = _json(index, uri, whose, _INDEX_SIZE).get("weight_map")
        if not isinstance(names, dict) or not names:
            raise CheckpointError("CheckpointInvalid", f"{index.name} of {uri} has no weight_map.")
        for name in names.values():
            if not isinstance(name, str) or Path(name).name != name:
                raise CheckpointError(
                    "CheckpointInvalid", f"{index.name} of {uri} names {str(name)[:80]!r}, no file in it."
                )
        return [folder / name for name in sorted(set(names.values()))]
    if (folder / "model.safetensors").is_file():
        return [folder / "model.safetensors"]
    raise _missing(uri, whose, "it has no model.safetensors; weights in other formats are not opened: convert them")


def _unpacked(path: Path, tensors: dict[str, Tensor]) -> dict[str, tuple[int, ...]]:
    """What bitsandbytes wrote beside four-bit weights. What is not as it writes it tells nothing."""
    found = {}
    states = {name: tensor for name, tensor in tensors.items() if name.endswith(_NF4)}
    with path.open("rb") as file:
        for name, tensor in states.items():
            file.seek(tensor.start)
            state = files.parsed(file.read(min(tensor.end - tensor.start, files.SMALL)), name[:200])
            shape = state.get("shape")
            if isinstance(shape, list) and all(type(size) is int and size > 0 for size in shape):
                found[name.removesuffix(_NF4)] = tuple(shape)
    return found


def _json(path: Path, uri: str, whose: Whose, most: int) -> dict[str, Any]:
    try:
        return files.json_object(path, path.parent if whose is CHECKPOINT else None, most)
    except FileNotFoundError as error:
        raise _missing(uri, whose, f"it has no {path.name}") from error
    except CheckpointError as error:
        raise CheckpointError(error.reason, f"{whose.what} {uri}: {error}") from error


def _missing(uri: str, whose: Whose, what: str) -> CheckpointError:
    return CheckpointError(whose.missing, f"{whose.what} {uri}: {what}. Correct {whose.field} or the volume.")
