"""Where the harness keeps things: caches outside the clone, what runs now inside it."""

import os
from pathlib import Path

ROOT = Path(__file__).parents[2]
# Git-ignored: kubeconfigs and image references of the clusters that were made from this clone.
CLUSTER = ROOT / ".cluster"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "scientificllm-forge"


def cached(*parts: str) -> Path:
    """A path in the cache; its folder exists afterwards. Deleting any of it only costs time."""
    path = CACHE.joinpath(*parts)
    path.parent.mkdir(parents=True, exist_ok=True)
    return path
