"""Offers the load: sends when a request is due, whatever became of those before, and watches its own punctuality."""

import asyncio
import contextlib
import resource
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

import aiohttp

from forge_inference.load.arrivals import Phase, Process, schedule
from forge_inference.load.client import Client, Target
from forge_inference.load.prompts import Prompts
from forge_inference.load.records import Record, Run

_BEAT = 0.01  # seconds; how often this program looks whether it gets to run
_AFTER_FAILURE = 1.0  # seconds that a user of a closed loop waits, so that a dead server is not stormed


class ColdServer(Exception):
    """A request before the measurement failed; nothing was measured. The message says what came back."""


@dataclass(frozen=True)
class Demand:
    """The load: phases of an open loop, or without any `crowd` users of a closed one for so many seconds."""

    phases: tuple[Phase, ...] = ()
    process: Process = "poisson"
    seed: int = 0
    crowd: int = 0
    crowd_seconds: float = 60.0
    warmup: int = 1
    prompts: Prompts = field(default_factory=Prompts)
    headers: dict[str, str] = field(default_factory=dict)
    keep_alive: bool = False

    @property
    def seconds(self) -> float:
        """How long load is offered."""
        return sum(phase.seconds for phase in self.phases) or self.crowd_seconds


async def warm_up(target: Target, demand: Demand) -> None:
    """Ask some times, one after another, and forget it. Raises ColdServer at the first failure."""
    loop = asyncio.get_running_loop()
    async with _session(demand) as http:
        for number in range(demand.warmup):
            began, record = loop.time(), Record(number, 0.0)
            client = Client(http, target, lambda began=began: loop.time() - began, began)  # type: ignore[misc]
            await client.ask(record, demand.prompts.of(-1 - number))
            if record.failure:
                raise ColdServer(f"{record.failure.kind}: {record.failure.message}")


async def measure(target: Target, demand: Demand, stop: asyncio.Event, told: Callable[[Run], None]) -> Run:
    """Offer the load, wait for the last answers, and return what happened; `stop` ends it early.

    `told` is called each second with the state so far.
    """
    _allow_sockets()
    arrivals = schedule(demand.phases, demand.process, demand.seed)
    async with _session(demand) as http:
        loop = asyncio.get_running_loop()
        began, run = loop.time(), Run(arrivals, demand.seconds, datetime.now(UTC).isoformat(timespec="milliseconds"))

        def clock() -> float:
            return loop.time() - began

        client, processor = Client(http, target, clock, began), time.process_time()
        offering = _crowd(client, demand, run, clock) if demand.crowd else _offer(client, demand, run, clock)
        async with _beside(_beat(run, clock), _tell(run, clock, told)):
            work, end = asyncio.create_task(offering), asyncio.create_task(stop.wait())
            await asyncio.wait((work, end), return_when=asyncio.FIRST_COMPLETED)
            run.interrupted = not work.done()
            run.lasted, run.processor = clock(), time.process_time() - processor
            for task in (work, end):
                task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await work
        return run


async def _offer(client: Client, demand: Demand, run: Run, clock: Callable[[], float]) -> None:
    async with asyncio.TaskGroup() as requests:
        for due in run.arrivals:
            await asyncio.sleep(due - clock())  # at once when it is late already, but others run in between
            requests.create_task(_ask(client, demand, run, due))


async def _ask(client: Client, demand: Demand, run: Run, due: float) -> Record:
    record = Record(len(run.records), due)
    run.records.append(record)
    await client.ask(record, demand.prompts.of(record.number))
    run.ended[record.outcome] += 1
    return record


async def _crowd(client: Client, demand: Demand, run: Run, clock: Callable[[], float]) -> None:
    async def user() -> None:
        while (now := clock()) < demand.seconds:
            if (await _ask(client, demand, run, now)).failure:
                await asyncio.sleep(_AFTER_FAILURE)

    async with asyncio.TaskGroup() as users:
        for _ in range(demand.crowd):
            users.create_task(user())


async def _beat(run: Run, clock: Callable[[], float]) -> None:
    """Answers are timed by this program: while it does not get to run, they seem slower than they are."""
    while True:
        due = clock() + _BEAT
        await asyncio.sleep(_BEAT)
        run.beats.append((due, clock() - due))


async def _tell(run: Run, clock: Callable[[], float], told: Callable[[Run], None]) -> None:
    while True:
        await asyncio.sleep(1.0)
        run.lasted = clock()
        told(run)


@asynccontextmanager
async def _beside(*watchers: Coroutine[None, None, None]) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(watcher) for watcher in watchers]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        for ended in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(ended, Exception):
                raise ended


def _session(demand: Demand) -> aiohttp.ClientSession:
    # As users who do not know each other ask: each over a connection of its own. Kept ones would go on asking the pods
    # that a Service had when they were made, however many there are by now.
    connector = aiohttp.TCPConnector(limit=0, force_close=not demand.keep_alive)
    # Compressed, events would come in lumps.
    headers = {"Content-Type": "application/json", "Accept-Encoding": "identity", **demand.headers}
    return aiohttp.ClientSession(connector=connector, headers=headers, timeout=aiohttp.ClientTimeout(total=None))


def _allow_sockets() -> None:
    """A server that stalls leaves many requests open, each with a socket: as many as the system lets us have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
