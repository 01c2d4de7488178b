"""Files on disk: names that are safe, content that is hashed while it is written, links where they are possible."""

import errno
import hashlib
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from forge_inference.sources.errors import SourceError

_PIECE = 2**20
# EFBIG: a limit on the size of files. What else but room can be missing is left to the kernel's own words.
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_UNLINKABLE = {errno.EXDEV, errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK, errno.ENOSYS, errno.EACCES}
KEPT = 0o444  # the mode of what a digest vouches for: hard links share it
_DEEPEST, _LONGEST_PART = 16, 255


@dataclass(frozen=True, slots=True)
class Placed:
    """A file's size in bytes and its SHA-256 in hex."""

    size: int
    sha256: str


def safe(name: str, *, what: str) -> str:
    """A source's path as one below our folder. Raises SourceError (SourceInvalid) for any that could lie elsewhere."""
    parts = name.rstrip("/").removeprefix("./").split("/")
    if parts == ["."]:
        return "."
    bad = (
        any(part in ("", ".", "..") or len(part.encode(errors="replace")) > _LONGEST_PART for part in parts)
        or len(parts) > _DEEPEST
        or "\\" in name
        or any(ord(letter) < 32 or ord(letter) == 127 or 0xD800 <= ord(letter) < 0xE000 for letter in name)
        or parts[0][1:2] == ":"
    )
    if bad:
        raise SourceError(
            "SourceInvalid",
            f"{what} {name[:200]!r} has a name that is absolute, leads elsewhere or is none. Pack or upload it again"
            " with plain relative names.",
        )
    return "/".join(parts)


def write(folder: Path, path: str, pieces: Iterable[bytes]) -> Placed:
    """A new file below `folder`. Raises SourceError (SourceDiskFull)."""
    target = folder / path
    digest, size = hashlib.sha256(), 0
    with room(folder):
        with _once(path):
            target.parent.mkdir(parents=True, exist_ok=True)
            file = target.open("xb")
        with file:
            for piece in pieces:
                file.write(piece)
                digest.update(piece)
                size += len(piece)
            os.fchmod(file.fileno(), KEPT)
            settle(file)
    return Placed(size, digest.hexdigest())


@contextmanager
def _once(path: str) -> Iterator[None]:
    try:
        yield
    except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
        raise SourceError("SourceInvalid", f"{path} is there twice, as two files or as file and folder.") from error


def settle(file: IO[bytes]) -> None:
    """What is written stays, even if the machine loses power: a digest vouches for it from now on."""
    file.flush()
    os.fsync(file.fileno())


def place(source: Path, target: Path) -> str | None:
    """Have a file at a second path: the same one where a hard link is possible, else a copy, whose SHA-256 is told."""
    try:
        with _once(target.name):
            target.parent.mkdir(parents=True, exist_ok=True)
            os.link(source, target)
    except OSError as error:
        if error.errno not in _UNLINKABLE:
            raise
        with source.open("rb") as file:
            return write(target.parent, target.name, iter(lambda: file.read(_PIECE), b"")).sha256
    return None


def hashed(path: Path) -> Placed:
    """Of a file that is there."""
    with path.open("rb") as file:
        return Placed(path.stat().st_size, hashlib.file_digest(file, "sha256").hexdigest())


def content_digest(files: dict[str, Placed]) -> str:
    """SHA-256 of the sorted lines that `sha256sum` prints for the files, run in their folder."""
    lines = sorted(f"{file.sha256}  {path}\n".encode() for path, file in files.items())
    return hashlib.sha256(b"".join(lines)).hexdigest()


def demand_room(folder: Path, needed: int) -> None:
    """Raises SourceError (SourceDiskFull) telling what is free, before anything is written."""
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise SourceError(
            "SourceDiskFull",
            f"{needed} bytes are needed and {free} are free at {folder}. Free some, or ask the administrator for a"
            " larger volume.",
        )


@contextmanager
def room(folder: Path) -> Iterator[None]:
    """What the kernel says of a full disk, in our words."""
    try:
        yield
    except OSError as error:
        if error.errno not in _FULL:
            raise
        try:
            free = f"{shutil.disk_usage(folder).free} bytes are free"
        except OSError:
            free = "no more can be written"
        raise SourceError(
            "SourceDiskFull",
            f"{folder} is full ({error.strerror}; {free}). Free some, or ask the administrator for a larger volume.",
        ) from error
