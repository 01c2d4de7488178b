"""What every source can do: tell what is there, and give the bytes of a file from any position on."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import astuple, dataclass
from typing import Annotated, Protocol

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass as checked

# Written into every published folder; a source's own file of this name is left out.
FACTS = ".fetched.json"
# Of one source. A run's folder has dozens; a whole bucket is somebody's mistake.
MOST_FILES = 10_000


@checked(frozen=True, slots=True, config=ConfigDict(strict=True))
class Entry:
    """A file of a source. Servers tell it, so its types are checked: ValueError.

    `path` is relative, with slashes. `size` is in bytes, None where the server does not tell. `version` changes when
    the content does: a digest, a blob's id, an ETag. `sha256` in hex where the source knows it. An `archive` is
    unpacked; with `top`, a single folder that holds all of its members is left out.
    """

    path: str
    size: Annotated[int, Field(ge=0)] | None
    version: str
    sha256: str = ""
    archive: bool = False
    top: bool = False


@dataclass(frozen=True, slots=True)
class Listing:
    """All files at one moment. `revision` is what pins it: a commit, a manifest's digest; else empty."""

    revision: str
    entries: tuple[Entry, ...]

    @property
    def fingerprint(self) -> str:
        """Equal for equal listings: then nothing needs to be downloaded again."""
        return hashlib.sha256(json.dumps([self.revision, *sorted(map(astuple, self.entries))]).encode()).hexdigest()

    @property
    def size(self) -> int | None:
        """Bytes of all files; None if one of them is unknown."""
        sizes = [entry.size for entry in self.entries]
        return None if None in sizes else sum(size or 0 for size in sizes)


@dataclass(frozen=True, slots=True)
class Body:
    """Bytes of a file from position `start` on, which is 0 where the server knows no ranges."""

    start: int
    chunks: Iterator[bytes]


class Source(Protocol):
    """One place that files come from. Both methods raise SourceError."""

    @property
    def place(self) -> str:
        """What it is, whatever is there now: two sources of equal place share what was downloaded."""
        ...

    @property
    def asked(self) -> str:
        """The revision that is asked for: a branch, a tag, a commit; empty where a place has only one."""
        ...

    def listing(self) -> Listing:
        """What is there now."""
        ...

    def open(self, entry: Entry, start: int) -> AbstractContextManager[Body]:
        """The bytes of a file, from `start` on if the server can."""
        ...
