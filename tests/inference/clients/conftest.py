"""Server processes with the tiny model, for clients that know nothing of us."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.inference.engine.tiny import a_base, an_adapter
from tests.inference.test_main import serving


@dataclass(frozen=True)
class Served:
    """Where it listens, and what it serves."""

    url: str
    admin: str
    base: Path
    adapter: Path
    runs: Path  # checkpoints in there may be loaded instead


@contextmanager
def a_server(folder: Path, *more: str, length: int = 512) -> Iterator[Served]:
    """In float32, so that answers can be compared to the last token; `more` are flags."""
    base = a_base(folder / "base", config={"max_position_embeddings": length})
    adapter, runs = an_adapter(folder / "genes"), folder / "runs"
    runs.mkdir()
    flags = (
        *("--checkpoint", str(adapter), "--base-model", str(base), "--model-roots", str(runs)),
        *("--quantization", "none", "--compute-dtype", "float32", "--max-model-len", str(length)),
        *("--max-batch", "16", "--max-queue", "40"),  # few enough to be crowded by a test
    )
    with serving(*flags, *more, limit=480) as (url, admin):
        yield Served(url, admin, base, adapter, runs)


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with a_server(tmp_path_factory.mktemp("served")) as found:
        yield found
