"""From a source to a folder: ask what is there, download what is not here yet, publish it whole."""

import logging
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from forge_inference.sources.addresses import Uri
from forge_inference.sources.archives import unpack
from forge_inference.sources.contract import MOST_FILES, Entry, Listing, Source
from forge_inference.sources.errors import SourceError
from forge_inference.sources.files import Placed, demand_room, place, safe
from forge_inference.sources.progress import Progress, amount, demand_size
from forge_inference.sources.publish import Facts, clear, publish
from forge_inference.sources.store import Content, Store
from forge_inference.sources.transfer import download, name, persist

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be fetched. `pin`: SHA-256 in hex, or nothing. `limit` is in bytes."""

    uri: Uri
    pin: str
    to: Path
    limit: int
    offline: bool


def fetch(wish: Wish, source: Source, store: Store) -> Facts:
    """Have the content at `wish.to`. Raises SourceError."""
    started = time.monotonic()
    clear(wish.to)
    content, from_cache = _kept(wish, source, store), True
    if content is None and wish.offline:
        raise SourceError(
            "SourceDenied",
            f"The administrator has switched downloads off (offline), and the cache does not hold {wish.uri.shown}."
            " Name what it holds, or ask for it to be filled.",
        )
    if content is None:
        content, from_cache = _current(wish, source, store)
    if wish.pin and not content.has(wish.pin):
        raise SourceError(
            "SourceDigestMismatch",
            f"{wish.uri.shown} has the content sha256:{content.digest}"
            + "".join(f", in an archive of sha256:{archive}" for archive in content.archives)
            + f"; sha256:{wish.pin} is asked for. Correct the digest, or find out who changed the content.",
        )
    demand_size(content.size, wish.limit)
    facts = Facts(
        uri=wish.uri.shown,
        revision=content.revision,
        digest=f"sha256:{content.digest}",
        bytes=content.size,
        seconds=0,
        fromCache=from_cache,
    )
    return publish(store, content, wish.to, facts, started, checked=bool(wish.pin) and from_cache)


def _kept(wish: Wish, source: Source, store: Store) -> Content | None:
    """What an offline start takes, without a look at the source."""
    if not wish.offline:
        return None
    return store.find(source.place, "asked", source.asked) or (store.by_digest(wish.pin) if wish.pin else None)


def _current(wish: Wish, source: Source, store: Store) -> tuple[Content, bool]:
    """What the source has now, and whether it was here already."""
    try:
        listing = persist(source.listing)
    except SourceError as error:
        content = store.find(source.place, "asked", source.asked)
        if error.reason != "SourceUnavailable" or content is None or not content.has(wish.pin):
            raise
        logger.warning("%s The cache holds what the digest names: it is used.", error)
        return content, True
    keys = [(source.place, "listing", listing.fingerprint)]
    keys += [(source.place, "asked", revision) for revision in {source.asked, listing.revision}]
    if content := store.find(*keys[0]):
        store.remember(content, *keys)
        return content, True
    with store.work(source.place, source.asked) as folder:
        content = store.find(*keys[0])  # another process may have done it while this one waited
        if content is not None:
            return content, True
        content = _download(wish, source, listing, store, folder)
        store.remember(content, *keys)
        shutil.rmtree(folder)
    return content, False


def _download(wish: Wish, source: Source, listing: Listing, store: Store, folder: Path) -> Content:
    entries = _checked(listing.entries)
    parts, tree = folder / "parts", folder / "tree"
    parts.mkdir(exist_ok=True)
    wanted = {name(entry) for entry in entries}
    for left in parts.iterdir():
        if left.stem not in wanted:  # of a version that the source has no more
            left.unlink()
    progress = Progress(listing.size, wish.limit)
    _demand_room(entries, parts, wish.to)
    logger.info(
        "%s: %d files, %s", wish.uri.shown, len(entries), amount(listing.size) if listing.size else "of unknown size"
    )
    arrived = [(entry, *download(source, entry, parts, progress)) for entry in entries]
    shutil.rmtree(tree, ignore_errors=True)  # of a start that ended in the middle
    tree.mkdir()
    files: dict[str, Placed] = {}
    for entry, path, placed in arrived:
        if entry.archive:
            files |= unpack(path, tree, wish.limit - sum(file.size for file in files.values()))
        else:
            place(path, tree / entry.path)
            files[entry.path] = placed
    if not files:
        raise SourceError("SourceInvalid", f"{wish.uri.shown} holds no file. Correct the URI, or upload it again.")
    if all(entry.top for entry in entries):
        tree, files = _without_top(tree, files)
    archives = tuple(placed.sha256 for entry, _, placed in arrived if entry.archive and len(arrived) == 1)
    return store.keep(tree, files, listing.revision, archives)


def _checked(entries: tuple[Entry, ...]) -> tuple[Entry, ...]:
    if len(entries) > MOST_FILES:
        raise SourceError("SourceTooLarge", f"The source has more than {MOST_FILES} files. Name one run's folder.")
    paths = [safe(entry.path, what="The source's file") for entry in entries]
    if len(set(paths)) < len(paths) or any(path != entry.path for path, entry in zip(paths, entries, strict=True)):
        raise SourceError("SourceInvalid", "The source has two files of the same name, or names that are none.")
    return entries


def _demand_room(entries: tuple[Entry, ...], parts: Path, to: Path) -> None:
    """Before the first byte: for what is to come, for what it unpacks to, and for the copy on another file system."""
    there = {path.stem: path.stat().st_size for path in parts.iterdir()}
    total = sum((entry.size or 0) * (2 if entry.archive else 1) for entry in entries)
    demand_room(parts, max(0, total - sum(there.values())))
    if parts.stat().st_dev != to.parent.stat().st_dev:
        demand_room(to.parent, sum(entry.size or 0 for entry in entries))


def _without_top(tree: Path, files: dict[str, Placed]) -> tuple[Path, dict[str, Placed]]:
    """An archive of a folder has that folder in front of every name; what is in it is meant."""
    tops = {path.partition("/")[0] for path in files}
    if len(tops) != 1 or "/" not in min(files, key=lambda path: path.count("/")):
        return tree, files
    (top,) = tops
    return tree / top, {path.removeprefix(f"{top}/"): placed for path, placed in files.items()}
