"""Server processes with the tiny model, for clients that know nothing of us."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.inference.engine.tiny import a_base, an_adapter
from tests.inference.test_main import start
from tests.support.ports import free_port
from tests.support.waiting import until


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
    port, admin = free_port(), free_port()
    process = start(
        *("--checkpoint", str(adapter), "--base-model", str(base), "--model-roots", str(runs)),
        *("--port", str(port), "--admin-port", str(admin), "--log-level", "warning"),
        *("--quantization", "none", "--compute-dtype", "float32", "--max-model-len", str(length)),
        *("--max-batch", "16", "--max-queue", "40"),  # few enough to be crowded by a test
        *more,
    )
    found = Served(f"http://127.0.0.1:{port}", f"http://127.0.0.1:{admin}", base, adapter, runs)
    client = httpx.Client(base_url=found.admin)  # one for all looks: to make one is work, and the server starts

    def ready() -> bool:
        assert process.poll() is None, process.stderr and process.stderr.read()
        try:
            return client.get("/readyz").is_success
        except httpx.TransportError:
            return False

    try:
        with client:
            until(ready, limit=480, what="the server to be ready")
        yield found
    finally:
        process.terminate()
        _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors.decode()


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with a_server(tmp_path_factory.mktemp("served")) as found:
        yield found
