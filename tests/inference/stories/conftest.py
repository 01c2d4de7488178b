"""One server process for all stories: a real small instruct model, and an adapter that one step of QLoRA made of it."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.harness import places
from tests.inference.test_main import serving

LONGEST = 2048  # tokens of a prompt and its answer
PATIENCE = 900.0  # seconds for one answer: a busy machine is no fault


def _trained() -> tuple[Path, Path]:
    """Base model and adapter. Made once for all clones: the base model alone takes half a minute to unpack."""
    folder = places.cached("stories", "base").parent
    base, adapter = folder / "base", folder / "one-step"
    program = [sys.executable, str(places.ROOT / "examples/train_qlora.py"), "--steps", "1"]
    subprocess.run([*program, "--base-out", str(base), "--out", str(adapter)], check=True, timeout=PATIENCE)
    return base, adapter


@pytest.fixture(scope="session")
def _served() -> Iterator[tuple[str, str]]:
    base, adapter = _trained()
    flags = ("--checkpoint", str(adapter), "--base-model", str(base), "--max-model-len", str(LONGEST))
    with serving(*flags, "--request-timeout-seconds", str(PATIENCE), limit=PATIENCE) as found:
        yield found


@pytest.fixture(scope="session")
def api(_served: tuple[str, str]) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=_served[0], timeout=PATIENCE) as client:
        yield client


@pytest.fixture(scope="session")
def admin(_served: tuple[str, str]) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=_served[1], timeout=60) as client:
        yield client
