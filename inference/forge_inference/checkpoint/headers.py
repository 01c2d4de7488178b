"""Headers of safetensors files, read without torch.

Format: https://huggingface.co/docs/safetensors (8 bytes of length, JSON, then the tensors without gaps).
"""

import json
import math
import struct
from dataclasses import dataclass
from pathlib import Path

from forge_inference.checkpoint.errors import CheckpointError

_LARGEST = 100 * 2**20  # bytes; the format's own limit
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


def read(path: Path) -> dict[str, Tensor]:
    """Name to tensor. Raises CheckpointError (CheckpointInvalid) unless the file is whole and well-formed."""
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(8)
        if len(head) < 8:
            raise _broken(path, "it is shorter than a header")
        (length,) = struct.unpack("<Q", head)
        if not 2 <= length <= min(_LARGEST, size - 8):
            raise _broken(path, f"its header claims {length} bytes, the file has {size}; is it a Git LFS pointer?")
        try:
            header = json.loads(file.read(length))
        except (ValueError, RecursionError) as error:
            raise _broken(path, "its header is not JSON") from error
    if not isinstance(header, dict):
        raise _broken(path, "its header is not an object")
    header.pop("__metadata__", None)
    tensors = {name: _tensor(path, name, entry, 8 + length) for name, entry in header.items()}
    expected = 8 + length
    for name, tensor in sorted(tensors.items(), key=lambda item: (item[1].start, item[1].end)):
        if tensor.start != expected:
            raise _broken(path, f"{name} does not begin where the tensor before it ends")
        expected = tensor.end
    if expected != size:
        raise _broken(path, f"it has {size} bytes where its header tells of {expected}; was the copy cut off?")
    return tensors


def _tensor(path: Path, name: str, entry: object, offset: int) -> Tensor:
    try:
        assert isinstance(entry, dict)  # noqa: S101 - one of the ways to be malformed, caught below
        dtype, shape = entry["dtype"], tuple(int(n) for n in entry["shape"])
        start, end = (int(n) for n in entry["data_offsets"])
        size = _BYTES[dtype] * math.prod(shape)
    except (AssertionError, KeyError, TypeError, ValueError) as error:
        raise _broken(path, f"the entry of {name} is malformed or of an unknown dtype") from error
    if min(shape, default=0) < 0 or not 0 <= start <= end or end - start != size:
        raise _broken(path, f"{name} has {end - start} bytes where its shape and dtype need {size}")
    return Tensor(dtype, shape, offset + start, offset + end)


def _broken(path: Path, why: str) -> CheckpointError:
    return CheckpointError("CheckpointInvalid", f"{path.name} is broken: {why}. Copy or save it again.")
