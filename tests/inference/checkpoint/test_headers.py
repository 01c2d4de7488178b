"""Files that are cut off, overlong or lie about themselves are refused before anything reads a tensor."""

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from forge_inference.checkpoint import headers
from forge_inference.checkpoint.errors import CheckpointError


def _file(path: Path, header: Any, data: bytes = b"") -> Path:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)
    return path


def _entry(start: int, end: int, shape: Any = (2,), dtype: Any = "F32") -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}


def test_what_the_library_writes_is_read_with_names_shapes_and_places(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    values: dict[str, np.ndarray[Any, Any]] = {
        "a": np.arange(6, dtype=np.float32).reshape(2, 3),
        "b": np.ones(4, np.float16),
    }
    save_file(values, path, metadata={"format": "pt"})
    found = headers.read(path)
    assert {name: (t.dtype, t.shape) for name, t in found.items()} == {"a": ("F32", (2, 3)), "b": ("F16", (4,))}
    raw = path.read_bytes()
    assert raw[found["a"].start : found["a"].end] == values["a"].tobytes()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        pytest.param(b"version https://git-lfs.github.com/spec/v1\n", "Git LFS pointer", id="a Git LFS pointer"),
        pytest.param(struct.pack("<Q", 2**62) + b"{}", "header claims", id="a header of exabytes"),
        pytest.param(struct.pack("<Q", 4) + b"{{{{", "not JSON", id="no JSON"),
        pytest.param(struct.pack("<Q", 2) + b"[]", "not a JSON object", id="a list"),
    ],
)
def test_a_file_without_a_header_is_refused(tmp_path: Path, content: bytes, says: str) -> None:
    path = tmp_path / "adapter_model.safetensors"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=says) as caught:
        headers.read(path)
    assert caught.value.reason == "CheckpointInvalid"
    assert "adapter_model.safetensors" in str(caught.value)


@pytest.mark.parametrize(
    ("header", "size", "says"),
    [
        pytest.param({"t": _entry(0, 8)}, 12, "where its header tells of", id="something behind the last tensor"),
        pytest.param({"a": _entry(0, 8), "b": _entry(12, 20)}, 20, "b does not begin", id="a gap"),
        pytest.param({"a": _entry(0, 8), "b": _entry(4, 12)}, 12, "b does not begin", id="an overlap"),
        pytest.param({"t": _entry(0, 8, shape=[3])}, 8, "t has 8 bytes", id="a shape of another size"),
        pytest.param({"t": _entry(0, 8, shape=[-1, -2])}, 8, "t is malformed", id="negative sizes"),
        pytest.param({"t": _entry(0, 8, dtype="X9")}, 8, "entry of t has an unknown dtype", id="an unknown dtype"),
        pytest.param(
            {"t": _entry(0, 8, dtype=["F32"])}, 8, "entry of t has an unknown dtype", id="a dtype that is a list"
        ),
        pytest.param({"t": 7}, 8, "entry of t is malformed", id="an entry that is a number"),
    ],
)
def test_a_header_that_does_not_fit_its_file_is_refused(
    tmp_path: Path, header: dict[str, Any], size: int, says: str
) -> None:
    with pytest.raises(CheckpointError, match=says):
        headers.read(_file(tmp_path / "x.safetensors", header, bytes(size)))


@pytest.mark.parametrize("length", [0, 3, 20, -1], ids=["nothing", "no length", "half a header", "a byte less"])
def test_a_file_that_ends_too_early_is_still_being_written(tmp_path: Path, length: int) -> None:
    path = _file(tmp_path / "x.safetensors", {"t": _entry(0, 8)}, bytes(8))
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(CheckpointError, match=r"x\.safetensors is not whole yet.*if nothing writes any more") as caught:
        headers.read(path)
    assert caught.value.reason == "CheckpointIncomplete"
