"""Archives, unpacked member by member: nothing lands outside the folder, and no member makes more than it should."""

import gzip
import io
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Protocol

import zstandard

from forge_inference.sources.contract import FACTS
from forge_inference.sources.errors import SourceError
from forge_inference.sources.files import Placed, safe, write

_MOST_MEMBERS = 1000
# Of all that comes out to the archive's size: weights hardly shrink. Small archives of text may, so there is a floor.
_RATIO, _FLOOR = 10, 16 * 2**20
# Headers are read whole, members in pieces: nothing honest asks for more at once.
_LARGEST_READ = 4 * 2**20
_PIECE = 2**20


def unpack(path: Path, folder: Path, limit: int) -> dict[str, Placed]:
    """Write all files of a tar (plain, gzip, zstd) or zip below `folder`, `limit` bytes at most.

    Raises SourceError: SourceInvalid names the member, SourceTooLarge, SourceDiskFull.
    """
    allowed = min(limit, max(_FLOOR, _RATIO * path.stat().st_size))
    with path.open("rb") as file:
        magic = file.read(512)
        file.seek(0)
        try:
            if magic.startswith(b"PK"):
                return _all(_zip(file), folder, allowed, limit)
            if magic.startswith(b"\x1f\x8b"):
                with gzip.GzipFile(fileobj=file) as plain:
                    return _all(_tar(plain, allowed, limit), folder, allowed, limit)
            if magic.startswith(b"\x28\xb5\x2f\xfd"):
                # Frames may ask for gigabytes of memory to look back at; the reader's own default allows 128 MiB.
                with zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True) as plain:
                    return _all(_tar(plain, allowed, limit), folder, allowed, limit)
            if magic[257:262] == b"ustar":
                return _all(_tar(file, allowed, limit), folder, allowed, limit)
        except (
            tarfile.TarError,
            zipfile.BadZipFile,
            zlib.error,
            zstandard.ZstdError,
            EOFError,
            gzip.BadGzipFile,
            NotImplementedError,  # zipfile's words for what it does not know, and for numbers that are none
            struct.error,
            OverflowError,
            ValueError,
        ) as error:
            raise SourceError("SourceInvalid", f"The archive is broken: {error}. Pack and upload it again.") from error
    if magic.lstrip()[:1] == b"<":
        raise SourceError("SourceInvalid", "This is a web page, not an archive. Is a login missing, or is it a link?")
    raise SourceError(
        "SourceInvalid", "This is neither tar, tar.gz, tar.zst nor zip. Pack the folder with one of them."
    )


class _Readable(Protocol):
    def read(self, size: int = -1, /) -> bytes: ...


def _all(members: Iterator[tuple[str, _Readable | None]], folder: Path, allowed: int, limit: int) -> dict[str, Placed]:
    placed: dict[str, Placed] = {}
    total = 0
    for number, (name, content) in enumerate(members):
        if number == _MOST_MEMBERS:
            raise SourceError(
                "SourceInvalid", f"The archive has more than {_MOST_MEMBERS} members. Pack the checkpoint alone."
            )
        path = safe(name, what="The archive's member")
        if content is None or path == FACTS:
            continue
        placed[path] = write(folder, path, _pieces(content, allowed - total, allowed, limit))
        total += placed[path].size
    if not placed:
        raise SourceError("SourceInvalid", "The archive holds no file. Pack the checkpoint's folder again.")
    return placed


def _pieces(content: _Readable, left: int, allowed: int, limit: int) -> Iterator[bytes]:
    while piece := content.read(_PIECE):
        left -= len(piece)
        if left < 0:
            raise _bomb(allowed, limit)
        yield piece


def _bomb(allowed: int, limit: int) -> SourceError:
    if allowed == limit:
        return SourceError(
            "SourceTooLarge", f"The archive unpacks to more than the {limit} bytes that are allowed here."
        )
    return SourceError(
        "SourceInvalid", f"The archive unpacks to more than {_RATIO} times its size, as no weights do. Pack it again."
    )


def _zip(file: IO[bytes]) -> Iterator[tuple[str, _Readable | None]]:
    with zipfile.ZipFile(_Careful(file)) as archive:
        for member in archive.infolist():
            mode = member.external_attr >> 16
            if member.is_dir():
                yield member.filename, None
                continue
            if stat.S_IFMT(mode) not in (0, stat.S_IFREG):
                raise _special(member.filename)
            if member.flag_bits & 1 or member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise SourceError(
                    "SourceInvalid",
                    f"The archive's member {member.filename!r} is encrypted or packed in a rare way."
                    " Pack it again, plainly.",
                )
            with archive.open(member) as content:
                yield member.filename, content


def _tar(file: _Readable, allowed: int, limit: int) -> Iterator[tuple[str, _Readable | None]]:
    forward = _Forward(file, allowed + _FLOOR, _bomb(allowed, limit))
    with tarfile.open(fileobj=forward, mode="r:") as archive:
        for member in archive:
            if member.isdir():
                yield member.name, None
                continue
            if not member.isreg() or member.issparse():
                raise _special(member.name)
            content = archive.extractfile(member)
            if content is not None:
                yield member.name, content
    if forward.last != bytes(tarfile.BLOCKSIZE):  # tarfile takes any end for the end
        raise tarfile.ReadError("its end is missing")


def _special(name: str) -> SourceError:
    return SourceError(
        "SourceInvalid",
        f"The archive's member {name!r} is a link, a device or of another special kind. Pack plain files only"
        " (tar --dereference).",
    )


def _header() -> SourceError:
    return SourceError("SourceInvalid", "The archive's headers are larger than any honest ones. Pack it again.")


class _Careful(io.RawIOBase):
    """A file that refuses to be read in huge pieces, by libraries that believe what headers tell."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        if whence == io.SEEK_SET and offset < 0:
            raise zipfile.BadZipFile("its parts are out of order")
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def read(self, size: int = -1) -> bytes:
        found = self._file.read(size if 0 <= size <= _LARGEST_READ else _LARGEST_READ + 1)
        if len(found) > _LARGEST_READ:
            raise _header()
        return found


class _Forward(io.RawIOBase):
    """What comes out of a decompressor, for tarfile: it goes forward only, one byte back excepted, up to a limit."""

    def __init__(self, file: _Readable, limit: int, excess: SourceError) -> None:
        self._file, self._limit, self._excess = file, limit, excess
        self._at, self._last, self._back = 0, b"", False
        self.last = b""  # what the last read gave

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at - self._back

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        if offset == self._at - 1 and self._last:
            self._back = True
        elif whence == io.SEEK_SET and offset >= self._at:
            self._back = False
            while self._at < offset and self.read(min(_PIECE, offset - self._at)):
                pass
        else:
            raise tarfile.ReadError("its members are out of order")
        return self.tell()

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= _LARGEST_READ:
            raise _header()
        found = self._last if self._back and size else b""
        self._back = self._back and not size
        while len(found) < size and (piece := self._file.read(size - len(found))):
            self._at += len(piece)
            found += piece
            self._last = piece[-1:]
        if self._at > self._limit:
            raise self._excess
        self.last = found
        return found
