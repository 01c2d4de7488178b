"""Headers of safetensors files, read without torch.

Format: https://huggingface.co/docs/safetensors (8 bytes of length, JSON, then the tensors without gaps).
"""

import math
import os
import struct
from dataclasses import dataclass
from pathlib import Path

from forge_inference.checkpoint import files
from forge_inference.checkpoint.errors import CheckpointError

# A tensor takes about 150 bytes of header. JSON becomes many times its size in memory, so its parts are counted first.
_LARGEST = 16 * 2**20  # bytes
_MOST = 100_000  # tensors
_BYTES = {
    **dict.fromkeys(("BOOL", "U8", "I8", "F8_E4M3", "F8_E5M2"), 1),
    **dict.fromkeys(("U16", "I16", "F16", "BF16"), 2),
    **dict.fromkeys(("U32", "I32", "F32"), 4),
    **dict.fromkeys(("U64", "I64", "F64"), 8),
}


@dataclass(frozen=True, slots=True)
class Tensor:
    """Where a tensor lies: `start` and `end` are bytes from the beginning of the file."""

    dtype: str
    shape: tuple[int, ...]
    start: int
    end: int


def read(path: Path, within: Path | None = None) -> dict[str, Tensor]:
    """Name to tensor. `within`: the folder in which the file must lie.

    Raises FileNotFoundError; CheckpointError: CheckpointIncomplete for a file that ends too early,
    CheckpointInvalid unless it is well-formed.
    """
    with files.opened(path, within) as file:
        size = os.fstat(file.fileno()).st_size
        head = file.read(8)
        if len(head) < 8:
            raise _unfinished(path, f"it has {size} bytes, which is shorter than a header")
        (length,) = struct.unpack("<Q", head)
        if length < 2 or length > _LARGEST:
            raise _broken(path, f"its header claims {length} bytes, the file has {size}; a Git LFS pointer looks so")
        text = file.read(length)
    if len(text) < length:
        raise _unfinished(path, f"it has {size} bytes of a header of {length}")
    if text.count(b"{") > _MOST or text.count(b"[") > 2 * _MOST or text.count(b",") > 8 * _MOST:
        raise _broken(path, f"its header tells of more than {_MOST:,} tensors")
    try:
        header = files.parsed(text, "its header")
    except CheckpointError as error:
        raise _broken(path, str(error).split(". ")[0].rstrip(".")) from error
    header.pop("__metadata__", None)
    tensors = {name: _tensor(path, name, entry, 8 + length) for name, entry in header.items()}
    expected = 8 + length
    for name, tensor in sorted(tensors.items(), key=lambda item: (item[1].start, item[1].end)):
        if tensor.start != expected:
            raise _broken(path, f"{name[:200]} does not begin where the tensor before it ends")
        expected = tensor.end
    if size < expected:
        raise _unfinished(path, f"it has {size} bytes where its header tells of {expected}")
    if size > expected:
        raise _broken(path, f"it has {size} bytes where its header tells of {expected}")
    return tensors


def _tensor(path: Path, name: str, entry: object, offset: int) -> Tensor:
    if not isinstance(entry, dict) or entry.keys() != {"dtype", "shape", "data_offsets"}:
        raise _broken(path, f"the entry of {name[:200]} is malformed")
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not (_naturals(shape) and _naturals(offsets) and len(offsets) == 2):
        raise _broken(path, f"the entry of {name[:200]} is malformed: sizes and places are whole numbers from 0 on")
    if not isinstance(dtype, str) or dtype not in _BYTES:
        raise _broken(path, f"the entry of {name[:200]} has an unknown dtype")
    start, end = offsets
    if end - start != (size := _BYTES[dtype] * math.prod(shape)):
        raise _broken(path, f"{name[:200]} has {end - start} bytes where its shape and dtype need {size}")
    return Tensor(dtype, tuple(shape), offset + start, offset + end)


def _naturals(value: object) -> bool:
    """Whether these are numbers of at most 64 bits, few enough for a tensor's dimensions."""
    return (
        isinstance(value, list)
        and len(value) <= 8
        and all(type(number) is int and 0 <= number < 2**63 for number in value)
    )


def _unfinished(path: Path, why: str) -> CheckpointError:
    return CheckpointError(
        "CheckpointIncomplete",
        f"{path.name} is not whole yet: {why}. It is looked at again until its trainer or copy is done; if nothing "
        "writes any more, copy or save it again, or name an earlier checkpoint's folder.",
    )


def _broken(path: Path, why: str) -> CheckpointError:
    return CheckpointError("CheckpointInvalid", f"{path.name} is broken: {why}. Copy or save it again.")
