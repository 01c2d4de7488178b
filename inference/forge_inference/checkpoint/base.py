"""The base model's folder: is everything there, and which shapes do its weights have?"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from forge_inference.checkpoint import headers
from forge_inference.checkpoint.errors import CheckpointError
from forge_inference.checkpoint.headers import Tensor

# Looked up by their row, never multiplied: quantisation leaves them alone.
_TABLES = ("embed", "wte", "wpe", "lm_head")


@dataclass(frozen=True)
class Base:
    """What the files say. `weights` is by the parameter's full name."""

    config: dict[str, Any]
    weights: dict[str, Tensor]

    @property
    def quantized(self) -> bool:
        """Whether the weights are stored quantised, so that their shapes say nothing."""
        return bool(self.config.get("quantization_config"))

    def linear(self) -> dict[str, tuple[int, int]]:
        """Name to (out, in) of the layers that quantisation would change."""
        return {
            name.removesuffix(".weight"): (tensor.shape[0], tensor.shape[1])
            for name, tensor in self.weights.items()
            if name.endswith(".weight") and len(tensor.shape) == 2 and not any(table in name for table in _TABLES)
        }


def read(folder: Path, uri: str) -> Base:
    """Raises CheckpointError: BaseModelNotFound names what is missing, CheckpointInvalid what is broken."""
    if not folder.is_dir():
        raise _missing(uri, f"there is no folder {folder}")
    config = _json(folder / "config.json", uri)
    if not (folder / "tokenizer.json").is_file():
        raise _missing(uri, "it has no tokenizer.json")
    weights: dict[str, Tensor] = {}
    for path in _files(folder, uri):
        if not path.is_file():
            raise _missing(uri, f"{path.name} is named in the index and missing")
        weights |= headers.read(path)
    return Base(config, weights)


def _files(folder: Path, uri: str) -> list[Path]:
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        files = _json(index, uri).get("weight_map")
        if not isinstance(files, dict):
            raise CheckpointError("CheckpointInvalid", f"{index.name} of the base model {uri} has no weight_map.")
        return [folder / name for name in sorted({Path(str(file)).name for file in files.values()})]
    if (folder / "model.safetensors").is_file():
        return [folder / "model.safetensors"]
    raise _missing(uri, "it has no model.safetensors; weights in other formats are not opened: convert them")


def _json(path: Path, uri: str) -> dict[str, Any]:
    try:
        found = json.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise _missing(uri, f"it has no {path.name}") from error
    except (ValueError, RecursionError) as error:
        raise CheckpointError("CheckpointInvalid", f"{path.name} of the base model {uri} is not JSON.") from error
    if not isinstance(found, dict):
        raise CheckpointError("CheckpointInvalid", f"{path.name} of the base model {uri} is not a JSON object.")
    return found


def _missing(uri: str, what: str) -> CheckpointError:
    return CheckpointError("BaseModelNotFound", f"Base model {uri}: {what}. Correct spec.baseModel.uri or the volume.")
