"""One real model takes another one's place, each in a process of its own, while requests run."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from forge_inference.engine.batching import BatchingEngine
from forge_inference.engine.contract import Chunk, Engine, Offer, Offered, Request
from forge_inference.engine.errors import LoadError, NotReady
from forge_inference.engine.exchange import Exchange
from forge_inference.engine.loading import Sources
from forge_inference.engine.workers import Workers
from tests.inference.engine.conftest import PLAIN, QUIET
from tests.inference.engine.tiny import adapter_tensors, an_adapter
from tests.support.waiting import until

pytestmark = [pytest.mark.model, QUIET]
SHORT = Request("the gene", 8, chat=False, ignore_eos=True)
LONG = Request("the gene", 240, chat=False, ignore_eos=True)


@pytest.fixture(scope="module")
def second(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another adapter of the same base model."""
    random = np.random.default_rng(9)
    tensors = {
        name: (random.standard_normal(values.shape) * 0.3).astype(np.float32)
        for name, values in adapter_tensors().items()
    }
    return an_adapter(tmp_path_factory.mktemp("second") / "run", tensors)


def in_a_process(base: Path, checkpoint: Path, *, beside: bool = False) -> Workers:
    sources = Sources(checkpoint, base, "pvc://models/run", "pvc://models/base", PLAIN)
    limits = {"max_model_len": 256, "max_queue": 16, "max_batch": 8, "request_timeout_seconds": 60}
    make = partial(BatchingEngine, sources, **limits)
    return Workers(make, 1, base_model=base, max_model_len=256, places=24, beside=beside)


@pytest.fixture
async def made(base: Path, adapter: Path) -> list[Workers]:
    """The engine that serves, and those that are offered."""
    return [in_a_process(base, adapter)]


@pytest.fixture
async def exchange(made: list[Workers], base: Path) -> AsyncIterator[Exchange]:
    def successor(offer: Offer) -> tuple[str, Engine]:
        made.append(in_a_process(base, offer.checkpoint, beside=True))
        return offer.checkpoint.name, made[-1]

    found = Exchange("first", made[0], successor, longest_answer=60)
    found.start()
    await asyncio.to_thread(until, found.loaded, limit=480, what="it serves")
    yield found
    found.stop()


async def tokens(engine: Engine, request: Request) -> list[int]:
    return [chunk.token async for chunk in engine.generate(request)]


async def ended(exchange: Exchange) -> Offered:
    offered = exchange.offered()
    assert offered is not None
    await asyncio.to_thread(until, lambda: offered.ended, limit=480, what="the offer's end")
    return offered


def oom_score(process: int | None) -> int:
    return int(Path(f"/proc/{process}/oom_score_adj").read_text())


async def test_each_answer_is_that_of_one_model_alone_and_none_is_lost(
    exchange: Exchange, made: list[Workers], second: Path, make: Callable[..., BatchingEngine]
) -> None:
    old, new = make(), make(checkpoint=second)
    alone = {name: await tokens(engine, SHORT) for name, engine in (("first", old), ("run", new))}
    assert alone["first"] != alone["run"]
    long = await tokens(old, LONG)
    answers: list[tuple[str, list[int]]] = []
    scores: list[int] = []
    enough = asyncio.Event()

    async def ask() -> None:
        while not enough.is_set():
            with exchange.held():
                answers.append((exchange.name, await tokens(exchange, SHORT)))

    async def stream() -> list[Chunk]:
        """So slowly read that it outlives the exchange."""
        chunks = []
        with exchange.held():
            async for chunk in exchange.generate(LONG):
                chunks.append(chunk)
                if len(chunks) == 10:
                    begun.set()
                    await swapped.wait()
        return chunks

    begun, swapped = asyncio.Event(), asyncio.Event()
    clients = [asyncio.create_task(ask()) for _ in range(3)]
    streaming = asyncio.create_task(stream())
    await begun.wait()
    exchange.offer(Offer(second))
    offered = exchange.offered()
    assert offered is not None
    async with asyncio.timeout(480):
        while offered.state == "loading":
            if offered.stage != "starting":
                scores.append(oom_score(made[1]._far[0].process.pid))
            await asyncio.sleep(0.01)
    assert offered.state == "finishing"
    assert await tokens(exchange, SHORT) == alone["run"]
    swapped.set()
    assert [chunk.token for chunk in await streaming] == long
    assert (await ended(exchange)).state == "done"
    enough.set()
    await asyncio.gather(*clients)
    assert all(found == alone[name] for name, found in answers)
    names = [name for name, _ in answers]
    assert set(names) == {"first", "run"}
    assert made[0]._far[0].process.exitcode == 0
    # While it was loading, the kernel would have ended the new one if memory had been short.
    assert max(scores) == 1000
    assert oom_score(made[1]._far[0].process.pid) == oom_score(os.getpid())


async def test_one_that_is_ended_while_it_loads_disturbs_nobody(
    exchange: Exchange, made: list[Workers], second: Path, tmp_path: Path
) -> None:
    before = [chunk async for chunk in exchange.generate(SHORT)]
    exchange.offer(Offer(second))
    await asyncio.to_thread(until, lambda: len(made) == 2 and made[1]._far[0].process.pid, limit=60, what="its process")
    victim = made[1]._far[0].process.pid
    assert victim is not None
    os.kill(victim, signal.SIGKILL)
    offered = await ended(exchange)
    assert offered.state == "failed"
    assert isinstance(offered.failure, LoadError)
    assert offered.failure.reason == "OutOfMemory"  # what else kills a process that loads a model
    exchange.offer(Offer(an_adapter(tmp_path / "zeros", adapter_tensors(scale=0))))
    offered = await ended(exchange)
    assert isinstance(offered.failure, LoadError)
    assert offered.failure.reason == "AdapterIneffective"
    assert exchange.name == "first"
    after = [chunk async for chunk in exchange.generate(SHORT)]
    assert [(c.text, c.token, c.logprob) for c in after] == [(c.text, c.token, c.logprob) for c in before]


async def test_adapters_beside_the_model_are_taken_along(exchange: Exchange, made: list[Workers], second: Path) -> None:
    await exchange.load_adapter("beside", second)
    beside = await tokens(exchange, Request("the gene", 8, chat=False, ignore_eos=True, adapter="beside"))
    assert beside != await tokens(exchange, SHORT)
    exchange.offer(Offer(second))
    assert (await ended(exchange)).state == "done"
    assert await tokens(exchange, SHORT) == beside
    assert await tokens(exchange, Request("the gene", 8, chat=False, ignore_eos=True, adapter="beside")) == beside
    # Whoever has not had all of an answer when its model is stopped does not wait for ever.
    answer = exchange.generate(LONG)
    await anext(answer)
    await asyncio.to_thread(made[-1].stop)
    with pytest.raises(NotReady, match="no longer served"):
        await asyncio.wait_for(_rest(answer), timeout=60)


async def _rest(answer: AsyncIterator[Chunk]) -> list[Chunk]:
    return [chunk async for chunk in answer]
