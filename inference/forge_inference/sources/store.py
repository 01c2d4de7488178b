"""What was downloaded, by the digest of its content: shared by models, starts and pods.

content/DIGEST/       the files, read-only; the folder appears whole, by a rename
content/DIGEST.json   their sizes and hashes, written before
index/KEY.json        which digest a URI had, at a listing, at a revision
work/KEY/             what is being downloaded, by one process at a time; it survives a restart
"""

import fcntl
import hashlib
import json
import logging
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from forge_inference.sources.files import Placed, content_digest

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Content:
    """Files by path. `archives` are the hashes of archives that they were unpacked from, each on its own."""

    digest: str
    revision: str
    files: Mapping[str, Placed]
    archives: tuple[str, ...]

    def has(self, pin: str) -> bool:
        """Whether a SHA-256 in hex means this content, or an archive of it."""
        return pin in (self.digest, *self.archives)

    @property
    def size(self) -> int:
        """In bytes, of all files."""
        return sum(file.size for file in self.files.values())


class Store:
    """One folder, safe for several processes at once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("content", "index", "work"):
            (folder / name).mkdir(parents=True, exist_ok=True)

    def files(self, content: Content) -> Path:
        """Where its files are."""
        return self.folder / "content" / content.digest

    def find(self, *key: str) -> Content | None:
        """What a URI had, if it is here whole."""
        found = _read(self.folder / "index" / f"{_name(key)}.json")
        return self._content(found["digest"], found["revision"]) if found else None

    def by_digest(self, digest: str) -> Content | None:
        """Content that someone fetched, from wherever."""
        return self._content(digest, "")

    def _content(self, digest: str, revision: str) -> Content | None:
        folder = self.folder / "content" / digest
        found = _read(folder.with_suffix(".json"))
        if not found:
            return None
        files = {path: Placed(**file) for path, file in found["files"].items()}
        try:
            whole = all((folder / path).stat().st_size == file.size for path, file in files.items())
        except FileNotFoundError:
            whole = False
        if not whole:
            self.forget(digest)
            return None
        return Content(digest, revision, files, tuple(found["archives"]))

    def forget(self, digest: str) -> None:
        """Content that is not what it was."""
        logger.warning("%s in the cache is damaged: it is thrown away", digest)
        shutil.rmtree(self.folder / "content" / digest, ignore_errors=True)

    @contextmanager
    def work(self, *key: str) -> Iterator[Path]:
        """A folder for one download, alone with it: others who want the same wait, and find it done."""
        path = self.folder / "work" / _name(key)
        with path.with_suffix(".lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                logger.info("Another process downloads the same: waiting for it")
                fcntl.flock(lock, fcntl.LOCK_EX)
            path.mkdir(exist_ok=True)
            yield path

    def keep(self, tree: Path, files: Mapping[str, Placed], revision: str, archives: tuple[str, ...]) -> Content:
        """Take a whole folder in."""
        content = Content(content_digest(dict(files)), revision, dict(sorted(files.items())), archives)
        target = self.files(content)
        known = _read(target.with_suffix(".json")) or {"archives": []}
        facts = {
            "files": {path: asdict(file) for path, file in content.files.items()},
            "archives": sorted({*known["archives"], *archives}),
        }
        _write(target.with_suffix(".json"), facts)
        try:
            os.rename(tree, target)
        except OSError:  # it is there already, whole: the same content, from elsewhere
            if not target.is_dir():
                raise
            shutil.rmtree(tree)
        return content

    def remember(self, content: Content, *keys: tuple[str, ...]) -> None:
        """Under which keys `find` shall find it."""
        for key in keys:
            facts = {"key": [part.partition("?")[0] for part in key], "digest": content.digest}
            _write(self.folder / "index" / f"{_name(key)}.json", {**facts, "revision": content.revision})


def _name(key: tuple[str, ...]) -> str:
    return hashlib.sha256("\n".join(key).encode()).hexdigest()


def _read(path: Path) -> dict[str, Any] | None:
    try:
        found = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValueError:
        logger.warning("%s in the cache is damaged: it is not used", path)
        return None
    return found if isinstance(found, dict) else None


def _write(path: Path, facts: Mapping[str, Any]) -> None:
    with tempfile.NamedTemporaryFile("w", dir=path.parent, prefix=".", delete=False) as file:
        json.dump(facts, file, indent=1)
        os.fchmod(file.fileno(), 0o644)
    os.replace(file.name, path)
