"""One server process for all stories: a real small instruct model, and an adapter that one step of QLoRA made of it."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from tests.harness import places
from tests.inference.test_main import start
from tests.support.ports import free_port
from tests.support.waiting import until

LONGEST = 2048  # tokens of a prompt and its answer
PATIENCE = 900.0  # seconds for one answer: a busy machine is no fault


def _trained() -> tuple[Path, Path]:
    """Base model and adapter. Made once for all clones: the base model alone takes half a minute to unpack."""
    folder = places.cached("stories", "base").parent
    base, adapter = folder / "base", folder / "one-step"
    program = [sys.executable, str(places.ROOT / "examples/train_qlora.py"), "--steps", "1"]
    subprocess.run([*program, "--base-out", str(base), "--out", str(adapter)], check=True, timeout=PATIENCE)
    return base, adapter


@contextmanager
def _server(base: Path, adapter: Path) -> Iterator[tuple[str, str]]:
    port, admin = free_port(), free_port()
    process = start(
        *("--checkpoint", str(adapter), "--base-model", str(base), "--max-model-len", str(LONGEST)),
        *("--port", str(port), "--admin-port", str(admin), "--log-level", "warning"),
        *("--request-timeout-seconds", str(PATIENCE)),
    )

    def ready() -> bool:
        assert process.poll() is None, process.stderr and process.stderr.read()
        try:
            return httpx.get(f"http://127.0.0.1:{admin}/readyz").is_success
        except httpx.TransportError:
            return False

    try:
        until(ready, limit=PATIENCE, what="the server to be ready", pause=0.5)
        yield f"http://127.0.0.1:{port}", f"http://127.0.0.1:{admin}"
    finally:
        process.terminate()
        _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors.decode()


@pytest.fixture(scope="session")
def _served() -> Iterator[tuple[str, str]]:
    with _server(*_trained()) as found:
        yield found


@pytest.fixture(scope="session")
def api(_served: tuple[str, str]) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=_served[0], timeout=PATIENCE) as client:
        yield client


@pytest.fixture(scope="session")
def admin(_served: tuple[str, str]) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=_served[1], timeout=60) as client:
        yield client
