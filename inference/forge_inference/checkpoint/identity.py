"""Which base model a folder holds, told without reading all of it."""

import hashlib
from pathlib import Path

from forge_inference.checkpoint import headers
from forge_inference.checkpoint.base import Base

_PART = 4096  # bytes of a tensor


def identity(base: Base) -> str:
    """`sha256:…` over configuration, tokenizer, the weights' headers and the beginning of each tensor.

    Training changes every number of what it changes, so a model that was trained on differs in one of these beginnings.
    The digest does not prove that files are whole, and is no defence against somebody who forges them: reading all of
    sixteen gigabytes at each start would. Raises OSError, CheckpointError.
    """
    total = hashlib.sha256()
    for name in ("config.json", "tokenizer.json"):
        path = base.folder / name if base.folder else None
        if path and path.is_file():
            with path.open("rb") as file:
                total.update(f"{name} {hashlib.file_digest(file, 'sha256').hexdigest()}\n".encode())
    for path in (Path(each.path) for each in base.files if each.path.endswith(".safetensors")):
        tensors = headers.read(path)
        with path.open("rb") as file:
            for name, tensor in sorted(tensors.items()):
                file.seek(tensor.start)
                begins = hashlib.sha256(file.read(min(_PART, tensor.end - tensor.start))).hexdigest()
                total.update(f"{name} {tensor.dtype} {tensor.shape} {begins}\n".encode())
    return f"sha256:{total.hexdigest()}"
