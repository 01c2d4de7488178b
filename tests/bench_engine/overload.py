"""Ten times more requests than the server can answer, for a minute: what it does to them and to itself."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp  # at hundreds of requests a second, httpx would be what is measured

from tests.bench_engine.contenders import Server, ours_server
from tests.harness.steps import say

NEW = 32  # tokens of each answer
_CROWD = 32  # as many as the server answers at once by default
_CALM, _STORM, _TIMES = 20.0, 60.0, 10  # seconds; how much more than it can


@dataclass
class Storm:
    """Seconds of refusals and probes, tokens and 5xx of answers, resident memory in MiB before and after."""

    capacity: float  # new tokens a second of 32 clients that wait for their answers
    goodput: float = 0.0  # the same, of whole answers, in the storm
    refusals: list[float] = field(default_factory=list)
    probes: list[float] = field(default_factory=list)
    failed: int = 0
    memory: tuple[float, float] = (0.0, 0.0)

    def rows(self) -> list[tuple[str, str, bool]]:
        """What was promised, what was found, and whether it was kept."""
        worst, late = max(self.probes), _percentile(self.refusals, 99)
        grown = self.memory[1] - self.memory[0]
        return [
            (f"{len(self.refusals)} refusals (429): 99 of 100 within 50 ms", f"{late * 1000:.0f} ms", late < 0.05),
            ("no answer is a 5xx", str(self.failed), not self.failed),
            (
                f"whole answers: 0.9 of the {self.capacity:.0f} tokens/s of before",
                f"{self.goodput / self.capacity:.2f}",
                self.goodput >= 0.9 * self.capacity,
            ),
            ("probes within 100 ms", f"{worst * 1000:.0f} ms at worst", worst < 0.1),
            ("memory does not grow by more than 5 %", f"{grown:+.0f} MiB", grown < 0.05 * self.memory[0]),
        ]


async def measured(base: Path, adapter: Path) -> Storm:
    """A minute and a half on the small model."""
    async with ours_server(base, adapter, quantization="nf4") as server, _client(server) as client:
        storm = Storm(await _capacity(client))
        say(f"overload: alone {storm.capacity:.0f} tokens/s")
        rate = storm.capacity / NEW * _TIMES
        storm.memory = (_resident(server.pid), 0.0)
        probing = asyncio.create_task(_probe(server, storm))
        asked: list[asyncio.Task[int]] = []
        start = time.monotonic()
        while (now := time.monotonic() - start) < _STORM:
            while len(asked) < now * rate:
                asked.append(asyncio.create_task(_one(client, storm, len(asked))))
            await asyncio.sleep(0.005)
        before_the_end = sum(task.result() for task in asked if task.done())
        storm.goodput = before_the_end / _STORM
        await asyncio.gather(*asked)
        probing.cancel()
        storm.memory = (storm.memory[0], _resident(server.pid))
        say(f"overload: {storm.goodput:.0f} tokens/s while {rate:.0f} requests a second came")
        return storm


def _client(server: Server) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(str(server.client.base_url), connector=aiohttp.TCPConnector(limit=0))


async def _capacity(client: aiohttp.ClientSession) -> float:
    made, end = 0, time.monotonic() + _CALM

    async def again(number: int) -> None:
        nonlocal made
        while time.monotonic() < end:
            _, answer = await _ask(client, number)
            if time.monotonic() < end:
                made += answer["usage"]["completion_tokens"]

    await asyncio.gather(*map(again, range(_CROWD)))
    return made / _CALM


async def _one(client: aiohttp.ClientSession, storm: Storm, number: int) -> int:
    start = time.monotonic()
    status, answer = await _ask(client, number)
    if status == 429:
        storm.refusals.append(time.monotonic() - start)
    elif status >= 500:
        storm.failed += 1
    return int(answer["usage"]["completion_tokens"]) if status == 200 else 0


async def _ask(client: aiohttp.ClientSession, number: int) -> tuple[int, Mapping[str, Any]]:
    body = {"model": "base", "prompt": f"{number} " + "gene " * 28, "max_tokens": NEW, "temperature": 0}
    async with client.post("/v1/completions", json={**body, "ignore_eos": True}) as answer:
        return answer.status, await answer.json()


async def _probe(server: Server, storm: Storm) -> None:
    async with aiohttp.ClientSession(server.admin) as kubelet:
        while True:
            for path in ("/livez", "/readyz"):
                start = time.monotonic()
                async with kubelet.get(path) as answer:
                    answer.raise_for_status()
                storm.probes.append(time.monotonic() - start)
            await asyncio.sleep(0.2)


def _resident(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmRSS:"))


def _percentile(found: list[float], share: int) -> float:
    return sorted(found)[len(found) * share // 100] if found else 0.0
