"""Files that somebody else wrote: opened where they lie inside a folder, read within limits, and looked at again."""

import filecmp
import json
import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from forge_inference.checkpoint.errors import CheckpointError

SMALL = 2**20  # bytes; no configuration that a trainer writes is larger
_DEEPEST = 32  # JSON inside JSON


@dataclass(frozen=True, slots=True)
class Stamp:
    """What a file looked like when it was read."""

    path: str
    size: int
    modified: int  # nanoseconds
    inode: int


def stamp(path: Path) -> Stamp:
    """Raises OSError."""
    found = path.stat()
    return Stamp(str(path), found.st_size, found.st_mtime_ns, found.st_ino)


def changed(stamps: Iterable[Stamp]) -> bool:
    """Whether a file is another one than it was, or gone."""
    try:
        return any(stamp(Path(one.path)) != one for one in stamps)
    except OSError:
        return True


def same(one: Path, other: Path) -> bool:
    """Whether both are files with the same bytes."""
    try:
        return filecmp.cmp(one, other, shallow=False)
    except OSError:
        return False


def opened(path: Path, within: Path | None = None) -> BinaryIO:
    """A regular file, open for reading; with `within` it must lie in that folder, wherever links lead.

    Raises FileNotFoundError, PermissionError, CheckpointError (CheckpointInvalid).
    """
    try:
        real = path.resolve(strict=True)
    except (RuntimeError, OSError) as error:
        if isinstance(error, FileNotFoundError | PermissionError):
            raise
        raise _not_a_file(path, "cannot be followed") from error
    if within is not None and not real.is_relative_to(within.resolve()):
        raise _not_a_file(path, "is a link that leads out of the checkpoint's folder; copy the file itself (cp -L)")
    # Without O_NONBLOCK, opening a FIFO waits for somebody who writes.
    descriptor = os.open(real, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise _not_a_file(path, "is not a file")
    return os.fdopen(descriptor, "rb")


def text(path: Path, within: Path | None, most: int = SMALL) -> str:
    """Raises as `opened` does; CheckpointInvalid for more than `most` bytes and for what is not UTF-8."""
    with opened(path, within) as file:
        raw = file.read(most + 1)
    if len(raw) > most:
        raise CheckpointError("CheckpointInvalid", f"{path.name} is larger than {most // 2**10:,} KiB.")
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise CheckpointError("CheckpointInvalid", f"{path.name} is not text in UTF-8.") from error


def json_object(path: Path, within: Path | None, most: int = SMALL) -> dict[str, Any]:
    """Raises as `text` does; CheckpointInvalid unless it is one object, each of its keys there once."""
    return parsed(text(path, within, most), path.name)


def parsed(raw: str | bytes, name: str) -> dict[str, Any]:
    """JSON as its standard has it: no NaN, no key twice. Raises CheckpointError (CheckpointInvalid)."""
    try:
        found = json.loads(raw, object_pairs_hook=_once, parse_constant=_no_constant)
        deep = _deeper(found, _DEEPEST)
    except (ValueError, RecursionError) as error:
        why = f": {error}" if type(error) is ValueError else ""
        raise CheckpointError("CheckpointInvalid", f"{name} is not JSON{why}. Copy or save it again.") from error
    if deep:
        raise CheckpointError("CheckpointInvalid", f"{name} is not JSON of a trainer: more than {_DEEPEST} levels.")
    if not isinstance(found, dict):
        raise CheckpointError("CheckpointInvalid", f"{name} is not a JSON object.")
    return found


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise ValueError(f"the key {twice[:80]!r} is there twice")
    return found


def _no_constant(word: str) -> None:
    raise ValueError(f"{word} is no JSON number")


def _deeper(value: object, levels: int) -> bool:
    if not isinstance(value, dict | list):
        return False
    children = value.values() if isinstance(value, dict) else value
    return levels == 0 or any(_deeper(child, levels - 1) for child in children)


def _not_a_file(path: Path, why: str) -> CheckpointError:
    return CheckpointError("CheckpointInvalid", f"{path.name} {why}.")
