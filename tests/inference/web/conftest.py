"""Both apps, with engines that say what a test tells them to."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from forge_inference.engine.contract import Offer
from forge_inference.engine.exchange import Exchange
from forge_inference.telemetry.gpu import Gpus
from forge_inference.telemetry.metrics import Metrics
from forge_inference.web.app import Parts, create_admin_app, create_app
from forge_inference.web.roots import Roots
from tests.support.engines import ScriptedEngine


@pytest.fixture
def engine() -> ScriptedEngine:
    """What serves, by the name of hbb."""
    return ScriptedEngine()


@pytest.fixture
def successors() -> list[ScriptedEngine]:
    """The engines of the checkpoints that were offered. They load until a test says that they have."""
    return []


@pytest.fixture
def roots(tmp_path: Path) -> Path:
    """A folder that checkpoints may be loaded from; it has one, run-7."""
    root = tmp_path / "roots"
    (root / "run-7").mkdir(parents=True)
    return root


@pytest.fixture
def parts(engine: ScriptedEngine, successors: list[ScriptedEngine], roots: Path) -> Parts:
    def successor(offer: Offer) -> tuple[str, ScriptedEngine]:
        made = ScriptedEngine()
        made.state = None
        successors.append(made)
        return offer.checkpoint.name, made

    exchange, gpus = Exchange("hbb", engine, successor, longest_answer=30), Gpus()
    return Parts(exchange, Metrics(exchange, gpus), gpus, Roots([roots]))


@pytest.fixture
async def api(parts: Parts) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(create_app(parts, ["https://lab.example"]))
    async with httpx.AsyncClient(transport=transport, base_url="http://api") as client:
        yield client


@pytest.fixture
async def admin(parts: Parts) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(create_admin_app(parts))
    async with httpx.AsyncClient(transport=transport, base_url="http://admin") as client:
        yield client
