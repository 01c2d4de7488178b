"""The load generator against a real server: both must count the same."""

import asyncio
from typing import Any

import httpx
import pytest

from forge_inference.load.dialects import Wish
from forge_inference.load.prompts import Prompts
from tests.inference.clients.conftest import Served
from tests.inference.engine.conftest import QUIET
from tests.inference.load.runs import a_load, steady, told

pytestmark = [pytest.mark.model, QUIET]


async def _server_says(served: Served) -> dict[str, Any]:
    async with httpx.AsyncClient(base_url=served.url) as client, asyncio.timeout(60):
        while (found := (await client.get("/api/v1/metrics")).json())["running"]:  # noqa: ASYNC110 - of a process
            await asyncio.sleep(0.05)
    return dict(found)


@pytest.mark.parametrize("api", ["generate", "completions", "chat"])
async def test_a_load_is_answered_and_counted_as_the_server_counts(served: Served, api: str) -> None:
    before = await _server_says(served)
    run = await a_load(served.url, steady(5, 2.0), api=api, wish=Wish(8, ignore_eos=api != "generate"))
    found, after = told(run), await _server_says(served)
    assert (found.requests.offered, found.requests.succeeded, found.errors) == (10, 10, ())
    for kind, counted in (("completion", found.tokens), ("prompt", found.prompt_tokens)):
        assert after["tokens"][kind] - before["tokens"].get(kind, 0) == counted > 0
    assert found.tokens == 80 or api == "generate"
    assert found.ttft.p50 is not None
    assert found.e2e.p50 is not None
    assert 0 < found.ttft.p50 <= found.e2e.p50


async def test_what_a_full_server_refuses_is_counted_apart(served: Served) -> None:
    """Sixteen run, forty wait; a hundred come at once."""
    before = await _server_says(served)
    demand = steady(400, 0.25, prompts=Prompts(tokens=20))
    found = told(await a_load(served.url, demand, wish=Wish(60, ignore_eos=True), timeout=300))
    after = await _server_says(served)
    refused = sum(after["refusals"].values()) - sum(before["refusals"].values())
    assert found.requests.refused_429 == refused > 0
    assert found.requests.succeeded == 100 - refused
    assert found.requests.failed == 0
    assert found.tokens == 60 * found.requests.succeeded
    assert found.errors[0].kind == "429"
