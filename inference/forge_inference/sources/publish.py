"""A folder that appears whole: for the server, which must never see half a checkpoint."""

import json
import logging
import os
import shutil
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from forge_inference.sources.contract import FACTS
from forge_inference.sources.errors import SourceError
from forge_inference.sources.files import demand_room, hashed, place, room
from forge_inference.sources.progress import amount
from forge_inference.sources.store import Content, Store

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Facts:
    """What `.fetched.json` tells. `bytes` are the content's; `fromCache`: none of it was downloaded in this start."""

    uri: str
    revision: str
    digest: str
    bytes: int
    seconds: float
    fromCache: bool  # noqa: N815 - as it is written


def publish(store: Store, content: Content, to: Path, facts: Facts, started: float, *, checked: bool) -> Facts:
    """Have the content at `to`, by hard links where the store is on the same file system, else by copies.

    Copies are hashed while they are made, links only when they shall be `checked`.
    Raises SourceError: SourceDiskFull; SourceUnavailable where the store's files are not what they were.
    """
    new, old = _beside(to)
    if _same(to, content, facts):
        logger.info("%s is there already", to)
        new = to
    else:
        new.mkdir(parents=True)
        if store.folder.stat().st_dev != new.stat().st_dev:
            demand_room(new, content.size)
            logger.info("Copying %s to %s", amount(content.size), to)
        with room(new):
            _fill(store, content, new, checked=checked)
    facts = replace(facts, seconds=round(time.monotonic() - started, 3))
    _write(new, facts)
    if new != to:
        if to.exists():
            os.rename(to, old)
        os.rename(new, to)
        shutil.rmtree(old, ignore_errors=True)
    return facts


def clear(to: Path) -> None:
    """Remove what a start that ended in the middle left beside the folder."""
    for left in _beside(to):
        if left.exists():
            shutil.rmtree(left)


def made_by_us(to: Path) -> bool:
    """Whether a folder may be replaced: there is none, it is empty, or it was published here."""
    return not to.exists() or (to / FACTS).is_file() or (to.is_dir() and not any(to.iterdir()))


def _beside(to: Path) -> tuple[Path, Path]:
    return to.parent / f".{to.name}.new", to.parent / f".{to.name}.old"


def _fill(store: Store, content: Content, folder: Path, *, checked: bool) -> None:
    for path, file in content.files.items():
        kept = store.files(content) / path
        try:
            found = place(kept, folder / path) or (hashed(kept).sha256 if checked else file.sha256)
        except FileNotFoundError:
            found = ""
        if found != file.sha256:
            store.forget(content.digest)
            raise SourceError(
                "SourceUnavailable", f"{path} in the cache was damaged. The next start downloads it anew."
            )


def _same(to: Path, content: Content, facts: Facts) -> bool:
    """Whether an earlier start of this pod published the same, and it is still whole."""
    try:
        told = json.loads((to / FACTS).read_bytes())
        sizes = [(to / path).stat().st_size for path in content.files]
    except (OSError, ValueError):
        return False
    return bool(told.get("digest") == facts.digest) and sizes == [file.size for file in content.files.values()]


def _write(folder: Path, facts: Facts) -> None:
    with room(folder):
        path = folder / f"{FACTS}.new"
        path.write_text(json.dumps(asdict(facts), indent=1) + "\n")
        os.replace(path, folder / FACTS)
