"""More clients than there is room for, and clients that leave: nobody else notices."""

import asyncio
import json
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.inference.clients.conftest import Served
from tests.inference.engine.conftest import QUIET

pytestmark = [pytest.mark.model, QUIET]
RUN = 16  # at once; more wait
LONG: dict[str, Any] = {"prompt": "the gene", "max_tokens": 450, "temperature": 0, "ignore_eos": True}
SHORT: dict[str, Any] = {**LONG, "max_tokens": 8}


async def _busy(client: httpx.AsyncClient) -> int:
    told = (await client.get("/api/v1/metrics")).json()
    return int(told["waiting"] + told["running"])


async def _until(client: httpx.AsyncClient, crowded: Callable[[int], bool]) -> float:
    """Seconds until this is true of the number of requests that wait or run."""
    start = time.monotonic()
    async with asyncio.timeout(60):
        while not crowded(await _busy(client)):  # noqa: ASYNC110 - the state of another process
            await asyncio.sleep(0.01)
    return time.monotonic() - start


@pytest.mark.parametrize("stream", [False, True], ids=["whole answers", "streams"])
async def test_places_of_clients_that_left_are_free_at_once(served: Served, stream: bool) -> None:
    """Of 50 some wait, some read their prompt, some write. Served to the end they would take ten seconds or more."""
    async with httpx.AsyncClient(base_url=served.url, timeout=60) as client:
        crowd = [await _asked(served.url, {**LONG, "stream": stream}) for _ in range(50)]
        try:
            await _until(client, lambda busy: busy > RUN)
        finally:
            for each in crowd:
                each.close()
        assert await _until(client, lambda busy: busy == 0) < 3.0


async def _asked(url: str, body: dict[str, Any]) -> asyncio.StreamWriter:
    """A client that has asked and reads nothing: reading 50 streams would keep this process busy."""
    host, port = url.removeprefix("http://").split(":")
    _, writer = await asyncio.open_connection(host, int(port))
    content = json.dumps(body)
    head = f"POST /v1/completions HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
    writer.write(f"{head}Content-Length: {len(content)}\r\n\r\n{content}".encode())
    await writer.drain()
    return writer


class _Crowd:
    """Clients that ask again and again."""

    def __init__(self) -> None:
        self.enough = asyncio.Event()
        self.inside: list[httpx.Response] = []
        self.refused: list[tuple[httpx.Response, float]] = []  # with the seconds it took

    async def insists(self, client: httpx.AsyncClient) -> None:
        while not self.enough.is_set():
            start = time.monotonic()
            answer = await client.post("/v1/completions", json={**LONG, "max_tokens": 100})
            if answer.status_code == 429:
                self.refused.append((answer, time.monotonic() - start))
                await asyncio.sleep(0.2)
            else:
                self.inside.append(answer)


async def test_a_crowd_is_refused_quickly_and_those_inside_are_served(served: Served) -> None:
    crowd, unlimited = _Crowd(), httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(base_url=served.url, timeout=180, limits=unlimited) as client:
        alone = (await client.post("/v1/completions", json=SHORT)).json()["choices"][0]["text"]
        clients = [asyncio.create_task(crowd.insists(client)) for _ in range(80)]  # 16 run, 40 wait, 24 are refused
        async with asyncio.timeout(120):
            while len(crowd.refused) < 100:  # noqa: ASYNC110 - of several clients
                await asyncio.sleep(0.01)
        probe = await client.get(f"{served.admin}/readyz")
        crowd.enough.set()
        await asyncio.gather(*clients)
        assert probe.status_code == 200  # a full queue is no reason to send nobody here
        assert all(int(answer.headers["retry-after"]) >= 1 for answer, _ in crowd.refused)
        assert sorted(seconds for _, seconds in crowd.refused)[len(crowd.refused) // 2] < 3.0
        assert {answer.status_code for answer in crowd.inside} == {200}
        assert len({answer.json()["choices"][0]["text"] for answer in crowd.inside}) == 1
        assert (await client.post("/v1/completions", json=SHORT)).json()["choices"][0]["text"] == alone
