"""Checkpoints that somebody made to do harm: each is a name, and how a good run becomes it."""

import json
import os
import pickle
import shutil
import struct
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.support.trainers import Canary

WEIGHTS, CONFIG = "adapter_model.safetensors", "adapter_config.json"
A = "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight"
Change = Callable[[Path], object]


def _file(header: Any, data: bytes = b"", length: int | None = None) -> Change:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    raw = struct.pack("<Q", len(text) if length is None else length) + text + data
    return lambda run: (run / WEIGHTS).write_bytes(raw)


def _entry(shape: Any = (2,), offsets: Any = (0, 8), dtype: Any = "F32", **more: Any) -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets, **more}


def _one(**changes: Any) -> Change:
    return _file({A: _entry(**changes)}, bytes(8))


def _text(name: str, content: str | bytes) -> Change:
    return lambda run: (run / name).write_bytes(content.encode() if isinstance(content, str) else content)


def _config(**changes: Any) -> Change:
    def write(run: Path) -> None:
        content = json.loads((run / CONFIG).read_text())
        (run / CONFIG).write_text(json.dumps({**content, **changes}))

    return write


def _instead(name: str, make: Callable[[Path], object]) -> Change:
    """Something that is no file by this name."""

    def change(run: Path) -> None:
        (run / name).unlink(missing_ok=True)
        make(run / name)

    return change


def _sparse(size: int) -> Change:
    """A file of gigabytes of zeros that takes no room on a disk."""

    def change(run: Path) -> None:
        rows = (size // 4 - 16) // 16
        header = json.dumps({A: _entry([16, rows], [0, 64 * rows])}).encode()
        with (run / WEIGHTS).open("wb") as file:
            file.write(struct.pack("<Q", len(header)) + header)
            file.truncate(8 + len(header) + 64 * rows)

    return change


def _zip_bomb(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", bytes(10 * 2**20))


def _renamed(rename: Callable[[str], str]) -> Change:
    """Tensors under other names."""

    def change(run: Path) -> None:
        raw = (run / WEIGHTS).read_bytes()
        (length,) = struct.unpack("<Q", raw[:8])
        header = {rename(name): entry for name, entry in json.loads(raw[8 : 8 + length]).items()}
        text = json.dumps(header).encode()
        (run / WEIGHTS).write_bytes(struct.pack("<Q", len(text)) + text + raw[8 + length :])

    return change


def _whole(index: Any) -> Change:
    """A merged model whose index says this."""

    def change(run: Path) -> None:
        (run / WEIGHTS).unlink()
        (run / "config.json").write_text('{"model_type": "llama"}')
        (run / "model.safetensors.index.json").write_text(json.dumps(index))

    return change


def _pickled(name: str) -> Change:
    def change(run: Path) -> None:
        (run / WEIGHTS).unlink()
        (run / name).write_bytes(pickle.dumps(Canary(run.parent / "canary")))

    return change


def _pickle_as(name: str) -> Change:
    return lambda run: (run / name).write_bytes(pickle.dumps(Canary(run.parent / "canary")))


def _twice(run: Path) -> None:
    one = f'"{A}":{json.dumps(_entry())}'
    _file(f"{{{one},{one}}}".encode(), bytes(8))(run)


def _many(count: int) -> Change:
    entry = json.dumps(_entry([0], [0, 0], "U8"))
    return _file(("{" + ",".join(f'"{number}":{entry}' for number in range(count)) + "}").encode())


def _moved_out(name: str, *, where: str) -> Change:
    def change(run: Path) -> None:
        outside = run.parent / where
        outside.mkdir()
        shutil.move(run / name, outside / name)
        (run / name).symlink_to(outside / name)

    return change


def _folder_of_links(run: Path) -> None:
    outside = run.parent / "outside"
    shutil.copytree(run, outside)
    shutil.rmtree(run)
    run.mkdir()
    (run / "checkpoint-5").symlink_to(outside)


def _crowd(run: Path) -> None:
    for number in range(10_001):
        (run / f"checkpoint-{number}").touch()


def _fifo_in_the_only_checkpoint(run: Path) -> None:
    inside = run / "checkpoint-1"
    inside.mkdir()
    (run / CONFIG).rename(inside / CONFIG)
    (run / WEIGHTS).unlink()
    os.mkfifo(inside / WEIGHTS)


DEEP = 100_000


def files() -> Iterator[tuple[str, Change]]:
    """Every hostile run that is to be refused."""
    yield "header: nothing but a length", _file(b"")
    yield "header: length of 2^64-1", _file(b"{}", length=2**64 - 1)
    yield "header: length of 2^63", _file(b"{}", length=2**63)
    yield "header: length of 15 MiB, not there", _file(b"{}", length=15 * 2**20)
    yield "header: length one too many", _file({A: _entry()}, b"", length=10_000)
    yield "header: length of 1", _file(b"{}", length=1)
    yield "header: not UTF-8", _file(b"\xff\xfe{}")
    yield "header: UTF-16", _file(json.dumps({A: _entry()}).encode("utf-16"))
    yield "header: nested lists", _file(b"[" * DEEP)
    yield "header: nested lists in an entry", _file(b'{"a":' + b"[" * DEEP + b"]" * DEEP + b"}")
    yield "header: nested objects", _file(b'{"a":' * DEEP + b"1" + b"}" * DEEP)
    yield "header: fifty levels", _file(b'{"a":' * 50 + b"1" + b"}" * 50)
    yield "header: a string", _file(b'"a"')
    yield "header: null", _file(b"null")
    yield "header: NaN", _file(b'{"a": NaN}')
    yield "header: a number of a million digits", _file(b'{"a":' + b"9" * 1_000_000 + b"}")
    yield "header: the same tensor twice", _twice
    yield "header: a million tensors", _many(1_000_000)
    yield "header: two hundred thousand tensors", _many(200_000)
    yield "header: five million lists", _file(b'{"a":[' + b"[]," * 5_000_000 + b"1]}")
    yield "header: three million strings", _file(b'{"a":[' + b'"x",' * 3_000_000 + b"1]}")
    yield "header: garbage behind the object", _file(b'{"a": 1}}}}')
    yield "tensor: no entry", _file({A: None})
    yield "tensor: an empty entry", _file({A: {}})
    yield "tensor: a key more", _file({A: _entry(more=1)}, bytes(8))
    yield "tensor: places overlap", _file({A: _entry(), "b": _entry(offsets=[4, 12])}, bytes(12))
    yield "tensor: a gap", _file({A: _entry(), "b": _entry(offsets=[16, 24])}, bytes(24))
    yield "tensor: places backwards", _one(offsets=[8, 0])
    yield "tensor: negative places", _one(offsets=[-8, 0])
    yield "tensor: places beyond the file", _one(offsets=[0, 2**40])
    yield "tensor: places of 2^64", _one(offsets=[0, 2**64])
    yield "tensor: three places", _one(offsets=[0, 4, 8])
    yield "tensor: places as text", _one(offsets=["0", "8"])
    yield "tensor: places as fractions", _one(offsets=[0.0, 8.0])
    yield "tensor: places true and false", _one(offsets=[False, True], shape=[1], dtype="U8")
    yield "tensor: a negative shape", _one(shape=[-2, -1])
    yield "tensor: a shape that overflows", _one(shape=[2**32, 2**32])
    yield "tensor: a shape of 2^64", _one(shape=[2**64, 0], offsets=[0, 0])
    yield "tensor: a shape of a hundred dimensions", _one(shape=[1] * 100)
    yield "tensor: a shape that is a number", _one(shape=2)
    yield "tensor: a shape of fractions", _one(shape=[2.0])
    yield "tensor: an unknown dtype", _one(dtype="F31")
    yield "tensor: a dtype that is a list", _one(dtype=["F32"])
    yield "tensor: a dtype that is null", _one(dtype=None)
    yield "tensor: no dimensions", _one(shape=[], dtype="F64")
    yield "tensor: widths of a billion", _file({A: _entry([4, 2**31], [0, 0], "U8")})
    yield "name: empty", _renamed(lambda name: "" if name == A else name)
    yield "name: a path", _renamed(lambda name: name.replace("layers.0", "../../etc"))
    yield "name: NUL", _renamed(lambda name: name.replace("q_proj", "q_proj\0"))
    yield "name: a look-alike letter", _renamed(lambda name: name.replace("q_proj", "q_рroj"))
    yield "name: full-width digits", _renamed(lambda name: name.replace("layers.0", "layers.\uff10"))
    yield "name: right to left", _renamed(lambda name: name.replace("q_proj", "\u202eq_proj"))
    yield "name: a lone surrogate", _renamed(lambda name: name.replace("q_proj", "\ud800"))
    yield "name: a hundred thousand dots", _renamed(lambda name: name.replace("q_proj", "." * 100_000))
    yield "name: dunder", _renamed(lambda name: name.replace("self_attn", "__class__"))
    yield "weights: of a terabyte", _sparse(2**40)
    yield "weights: of ten gigabytes", _sparse(10 * 2**30)
    yield "weights: a pickle by that name", _pickle_as(WEIGHTS)
    yield "weights: a zip bomb by that name", _instead(WEIGHTS, _zip_bomb)
    yield "weights: gzip", _text(WEIGHTS, b"\x1f\x8b\x08\x00" + bytes(100))
    yield "weights: an ELF program", _text(WEIGHTS, b"\x7fELF\x02\x01\x01" + bytes(100))
    yield "weights: a script", _text(WEIGHTS, "#!/bin/sh\ntouch canary\n")
    yield "weights: a FIFO", _instead(WEIGHTS, os.mkfifo)
    yield "weights: a FIFO in the only checkpoint", _fifo_in_the_only_checkpoint
    yield "weights: a folder", _instead(WEIGHTS, Path.mkdir)
    yield "weights: a link to nothing", _instead(WEIGHTS, lambda path: path.symlink_to("/nowhere/at/all"))
    yield "weights: a link to itself", _instead(WEIGHTS, lambda path: path.symlink_to(path))
    yield "weights: a link to a device", _instead(WEIGHTS, lambda path: path.symlink_to("/dev/zero"))
    yield "weights: a link to the kernel", _instead(WEIGHTS, lambda path: path.symlink_to("/proc/self/environ"))
    yield "weights: a link out of the folder", _moved_out(WEIGHTS, where="elsewhere")
    yield "weights: a link out, to a folder of the same beginning", _moved_out(WEIGHTS, where="run-2")
    yield "weights: pickled, of PEFT", _pickled("adapter_model.bin")
    yield "weights: pickled, of torchtune", _pickled("adapter_0.pt")
    yield "weights: pickled, of transformers", _pickled("pytorch_model.bin")
    yield "run: a checkpoint that is a link out of it", _folder_of_links
    yield "run: ten thousand checkpoints", _crowd
    yield "config: nested", _text(CONFIG, "[" * DEEP)
    yield "config: nested objects", _text(CONFIG, '{"r":' * DEEP)
    yield "config: NaN", _config(lora_alpha=float("nan"))
    yield "config: infinity", _config(lora_alpha=float("inf"))
    yield (
        "config: an infinite number",
        lambda run: _text(CONFIG, (run / CONFIG).read_text().replace('"lora_alpha": 8', '"lora_alpha": 1e999'))(run),
    )
    yield (
        "config: the same key twice",
        lambda run: _text(CONFIG, (run / CONFIG).read_text().replace('"r": 4', '"r": 4, "r": 8'))(run),
    )
    yield "config: a megabyte of spaces", _text(CONFIG, " " * (2**20 + 1) + "{}")
    yield "config: a byte order mark", lambda run: _text(CONFIG, b"\xef\xbb\xbf" + (run / CONFIG).read_bytes())(run)
    yield "config: Latin-1", _text(CONFIG, b'{"r": "\xe9"}')
    yield "config: a FIFO", _instead(CONFIG, os.mkfifo)
    yield "config: a folder", _instead(CONFIG, Path.mkdir)
    yield "config: a link to a device", _instead(CONFIG, lambda path: path.symlink_to("/dev/zero"))
    yield "config: a link to a secret", _instead(CONFIG, lambda path: path.symlink_to("/etc/passwd"))
    yield "config: a link out of the folder", _moved_out(CONFIG, where="elsewhere")
    yield "config: a rank of 2^63", _config(r=2**63)
    yield "config: a rank that is true", _config(r=True)
    yield "config: a negative scale", _config(lora_alpha=-8)
    yield "config: a pattern that takes for ever, for ranks", _config(rank_pattern={"(a+)+$": 4})
    yield "config: code to import", _config(auto_mapping={"base_model_class": "system", "parent_library": "os"})
    yield "config: another library to import", _config(megatron_core="os", megatron_config={"x": 1})
    yield "config: remote code", _config(auto_map={"AutoModel": "evil.Model"})
    yield "config: a name with a path", _config(target_modules=["../../q_proj"])
    yield "config: a name with a format", _config(target_modules=["{self}"])
    yield "config: ten thousand unknown keys", _config(**{f"key{n}": n for n in range(10_000)})
    yield "index: a path out of the folder", _whole({"weight_map": {"a": "../../base/model.safetensors"}})
    yield "index: an absolute path", _whole({"weight_map": {"a": "/etc/passwd"}})
    yield "index: two dots", _whole({"weight_map": {"a": ".."}})
    yield "index: no name", _whole({"weight_map": {"a": 7}})
    yield "index: nothing", _whole({"weight_map": {}})
    yield "index: a list", _whole({"weight_map": ["a"]})
    yield "tokenizer: nested", _text("tokenizer.json", "[" * DEEP)
    yield "tokenizer: a FIFO", _instead("tokenizer.json", os.mkfifo)
    yield "tokenizer: millions of parts", _text("tokenizer.json", '{"model": {"vocab": [' + "[]," * 2_000_000 + "1]}}")
    yield "tokenizer: of another model", _text("tokenizer.json", '{"model": {"vocab": {"a": 0}}}')
    yield "tokenizer: numbers as text", _text("tokenizer.json", '{"model": {"vocab": {"a": "0"}}}')
    yield "tokenizer: a template of megabytes", _text("chat_template.jinja", "x" * 2**21)
    yield (
        "tokenizer: a template that is a device",
        _instead("chat_template.jinja", lambda path: path.symlink_to("/dev/zero")),
    )
