"""One file over the network: kept when the connection breaks or the process ends, and continued from there."""

import hashlib
import json
import logging
import os
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from forge_inference.sources.contract import Entry, Source
from forge_inference.sources.errors import SourceError
from forge_inference.sources.files import KEPT, Placed, hashed, room, settle
from forge_inference.sources.progress import Progress

logger = logging.getLogger(__name__)

_TRIES = 6  # in a row without a single byte
_SHORTEST, _LONGEST = 0.5, 30.0  # seconds between two tries
_PIECE = 2**20

Result = TypeVar("Result")


def persist(action: Callable[[], Result]) -> Result:
    """The result of something that may fail for a moment, such as a listing."""
    tries = 0
    while True:
        try:
            return action()
        except SourceError as error:
            tries += 1
            _wait(error, tries)


def name(entry: Entry) -> str:
    """Of the file that holds it meanwhile; another version has another."""
    return hashlib.sha256(json.dumps([entry.version, entry.path]).encode()).hexdigest()[:32]


def download(source: Source, entry: Entry, folder: Path, progress: Progress) -> tuple[Path, Placed]:
    """The whole file in `folder`, from what is there already. Raises SourceError."""
    whole = folder / name(entry)
    part = whole.with_suffix(".part")
    if whole.exists():
        progress.found(whole.stat().st_size)
        return whole, hashed(whole)
    placed = _Part(source, entry, part, progress).finish()
    if entry.sha256 and placed.sha256 != entry.sha256:
        part.unlink()
        raise SourceError(
            "SourceInvalid",
            f"{entry.path} arrived with SHA-256 {placed.sha256}, where the source tells {entry.sha256}. It is fetched"
            " anew at the next start; if it happens again, upload it again.",
        )
    os.replace(part, whole)
    whole.chmod(KEPT)  # not before: a start that ends in between could not continue with it
    return whole, placed


class _Part:
    """A file that is not whole yet."""

    def __init__(self, source: Source, entry: Entry, path: Path, progress: Progress) -> None:
        self._source, self._entry, self._progress = source, entry, progress
        with room(path.parent):
            self._file = path.open("ab+")
        self._digest = hashlib.sha256()
        self._size = 0

    def finish(self) -> Placed:
        with self._file, room(Path(self._file.name).parent):
            self._continue()
            tries = 0
            while not self._whole():
                before = self._size
                try:
                    self._more()
                except SourceError as error:
                    tries = 1 if self._size > before else tries + 1
                    _wait(error, tries)
            settle(self._file)
        return Placed(self._size, self._digest.hexdigest())

    def _whole(self) -> bool:
        return self._entry.size is not None and self._size == self._entry.size

    def _continue(self) -> None:
        """Take what an earlier start left."""
        self._file.seek(0)
        while piece := self._file.read(_PIECE):
            self._digest.update(piece)
            self._size += len(piece)
        self._progress.found(self._size)
        if self._entry.size is not None and self._size > self._entry.size:
            self._restart()
        elif self._size:
            logger.info("%s: continuing after %d bytes", self._entry.path, self._size)

    def _restart(self) -> None:
        self._progress.found(-self._size)
        self._file.truncate(0)
        self._digest, self._size = hashlib.sha256(), 0

    def _more(self) -> None:
        expected = self._entry.size
        with self._source.open(self._entry, self._size) as body:
            if body.start != self._size:  # the server knows no ranges
                self._restart()
            for chunk in body.chunks:
                self._progress.add(len(chunk))
                self._file.write(chunk)
                self._digest.update(chunk)
                self._size += len(chunk)
                if expected is not None and self._size > expected:
                    raise SourceError("SourceInvalid", f"{self._entry.path} is longer than the source told.")
        if expected is None:
            self._entry = Entry(self._entry.path, self._size, self._entry.version)
        elif self._size < expected:
            raise SourceError("SourceUnavailable", f"{self._entry.path} ended after {self._size} of {expected} bytes.")


def _wait(error: SourceError, tries: int) -> None:
    """Back off before another try; the error itself when there should be none."""
    if not error.passing or tries >= _TRIES:
        raise error
    wish = _SHORTEST * 2 ** (tries - 1) if error.retry_after is None else error.retry_after
    pause = min(_LONGEST, wish) * random.uniform(0.8, 1.2)  # noqa: S311 - so that many pods do not come at once
    logger.warning("%s Trying again in %.1f s.", error, pause)
    time.sleep(pause)
