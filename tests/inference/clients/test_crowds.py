"""More clients than there is room for, and clients that leave: nobody else notices."""

import asyncio
import time
from typing import Any

import httpx
import pytest

from tests.inference.clients.conftest import Served
from tests.inference.engine.conftest import QUIET

pytestmark = [pytest.mark.model, QUIET]
LONG: dict[str, Any] = {"prompt": "the gene", "max_tokens": 450, "temperature": 0, "ignore_eos": True}
SHORT: dict[str, Any] = {**LONG, "max_tokens": 8}


async def _busy(client: httpx.AsyncClient) -> int:
    told = (await client.get("/api/v1/metrics")).json()
    return int(told["waiting"] + told["running"])


async def _until(client: httpx.AsyncClient, count: int, limit: float) -> float:
    """Seconds until so many requests wait or run."""
    start = time.monotonic()
    async with asyncio.timeout(limit):
        while await _busy(client) != count:  # noqa: ASYNC110 - the state of another process
            await asyncio.sleep(0.01)
    return time.monotonic() - start


@pytest.mark.parametrize("stream", [False, True], ids=["whole answers", "streams"])
async def test_places_of_clients_that_left_are_free_at_once(served: Served, stream: bool) -> None:
    """Of 50 some wait, some read their prompt, some write; 500 ms are promised, and the look itself takes a little."""
    unlimited = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(base_url=served.url, timeout=60, limits=unlimited) as client:
        crowd = [
            asyncio.create_task(client.post("/v1/completions", json={**LONG, "stream": stream})) for _ in range(50)
        ]
        await _until(client, 50, 10)
        for each in crowd:
            each.cancel()
        await asyncio.gather(*crowd, return_exceptions=True)
        assert await _until(client, 0, 10) < 1.0


async def _insists(client: httpx.AsyncClient, enough: asyncio.Event) -> list[httpx.Response]:
    """All answers to one who asks again and again."""
    answers = []
    while not enough.is_set():
        answers.append(await client.post("/v1/completions", json=LONG))
        if answers[-1].status_code == 429:
            await asyncio.sleep(0.2)
    return answers


async def test_a_crowd_is_refused_quickly_and_those_inside_are_served(served: Served) -> None:
    unlimited = httpx.Limits(max_connections=None)
    enough = asyncio.Event()
    async with httpx.AsyncClient(base_url=served.url, timeout=60, limits=unlimited) as client:
        alone = (await client.post("/v1/completions", json=SHORT)).json()["choices"][0]["text"]
        crowd = [asyncio.create_task(_insists(client, enough)) for _ in range(140)]  # 32 run, 64 wait, 44 insist
        async with httpx.AsyncClient(base_url=served.url, timeout=60, limits=unlimited) as late, asyncio.timeout(30):
            refused: list[tuple[httpx.Response, float]] = []
            while len(refused) < 20:
                start = time.monotonic()
                answer = await late.post("/v1/completions", json=SHORT)
                if answer.status_code == 429:
                    refused.append((answer, time.monotonic() - start))
            probe = await late.get(f"{served.admin}/readyz")
        enough.set()
        inside = [answer for answers in await asyncio.gather(*crowd) for answer in answers]
        assert all(int(answer.headers["retry-after"]) >= 1 for answer, _ in refused)
        assert sorted(seconds for _, seconds in refused)[10] < 0.25
        assert probe.status_code == 200  # a full queue is no reason to send nobody here
        assert {answer.status_code for answer in inside} == {200, 429}
        assert len({answer.json()["choices"][0]["text"] for answer in inside if answer.status_code == 200}) == 1
        assert (await client.post("/v1/completions", json=SHORT)).json()["choices"][0]["text"] == alone
