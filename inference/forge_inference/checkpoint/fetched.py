"""Where a folder's files came from: the note that the fetcher leaves beside them."""

import json
import logging
from dataclasses import dataclass
from pathlib import Path

logger = logging.getLogger(__name__)

NOTE = ".fetched.json"


@dataclass(frozen=True)
class Fetched:
    """`revision` pins the source (a commit, a manifest's digest), where it has versions; `digest` is of all files."""

    digest: str
    revision: str | None


def read(folder: Path, uri: str) -> Fetched | None:
    """None for what was not fetched from `uri`: a note may have been copied to a claim with the files."""
    try:
        note = json.loads((folder / NOTE).read_bytes())
        if note["uri"] != uri:
            return None
        return Fetched(str(note["digest"]), str(note["revision"]) if note.get("revision") else None)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        logger.warning("%s says nothing of where the files are from: %s", folder / NOTE, error)
        return None
