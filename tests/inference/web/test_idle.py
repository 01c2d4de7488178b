"""For how long nobody has had work for the server: what the operator takes the last pod away by."""

import asyncio

import httpx
import pytest

from forge_inference.web.app import Parts
from tests.support.engines import ScriptedEngine


async def _idle(admin: httpx.AsyncClient) -> float:
    return float((await admin.get("/report")).json()["idleSeconds"])


@pytest.fixture
def long_idle(parts: Parts) -> None:
    parts.metrics._rests_since -= 1000


@pytest.mark.usefixtures("long_idle")
@pytest.mark.parametrize("path", ["/api/v1/health", "/api/v1/metrics", "/v1/models", "/", "/docs"])
async def test_looking_is_no_work(admin: httpx.AsyncClient, api: httpx.AsyncClient, path: str) -> None:
    await api.get(path)
    assert await _idle(admin) >= 1000


@pytest.mark.usefixtures("long_idle")
@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/v1/generate", {"text": "HBB"}),
        ("/v1/completions", {"prompt": "HBB"}),
        ("/v1/chat/completions", {"messages": [{"role": "user", "content": "HBB"}]}),
        ("/tokenize", {"prompt": "HBB"}),
    ],
)
async def test_work_is_remembered(
    admin: httpx.AsyncClient, api: httpx.AsyncClient, path: str, body: dict[str, object]
) -> None:
    await api.post(path, json=body)
    assert await _idle(admin) < 60


@pytest.mark.usefixtures("long_idle")
async def test_nobody_is_idle_while_an_answer_is_made(
    admin: httpx.AsyncClient, api: httpx.AsyncClient, parts: Parts, engine: ScriptedEngine
) -> None:
    engine.goes_on.clear()
    asking = asyncio.create_task(api.post("/api/v1/generate", json={"text": "HBB"}))
    while not engine.requests:  # noqa: ASYNC110 - the engine tells nobody
        await asyncio.sleep(0)
    parts.metrics._rests_since -= 1000
    assert await _idle(admin) == 0
    assert "forge_idle_seconds 0.0" in (await admin.get("/metrics")).text
    engine.goes_on.set()
    assert (await asking).status_code == 200
    assert await _idle(admin) < 60
