"""Two processes with an engine each, as if they were one."""

import asyncio
import multiprocessing
import os
import pickle
import signal
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from forge_inference.engine import errors
from forge_inference.engine.batching import BatchingEngine
from forge_inference.engine.contract import CHECKPOINT, Chunk, Request
from forge_inference.engine.errors import EngineFailed, InvalidRequest, LoadError, Overloaded, UnknownAdapter
from forge_inference.engine.loading import Sources
from forge_inference.engine.worker import _Worker
from forge_inference.engine.workers import Workers
from tests.inference.engine.conftest import PLAIN, QUIET
from tests.inference.engine.tiny import adapter_tensors, an_adapter
from tests.support.waiting import until

pytestmark = [pytest.mark.model, QUIET]


@pytest.fixture(scope="module")
def start(base: Path) -> Iterator[Callable[..., Workers]]:
    """Starts workers; all are ended."""
    started = []

    def _start(checkpoint: Path, count: int = 2) -> Workers:
        sources = Sources(checkpoint, base, "pvc://models/run", "pvc://models/base", PLAIN)
        limits = {"max_model_len": 256, "max_queue": 4, "max_batch": 4, "request_timeout_seconds": 60}
        make = partial(BatchingEngine, sources, **limits)
        workers = Workers(make, count, base_model=base, max_model_len=256, places=8)
        started.append(workers)
        workers.start()
        until(lambda: workers.loaded() or workers.failure(), limit=90, what="both serve")
        return workers

    yield _start
    for workers in started:
        workers.stop()


@pytest.fixture(scope="module")
def workers(start: Callable[..., Workers], adapter: Path) -> Workers:
    return start(adapter)


async def _all(engine: BatchingEngine | Workers, request: Request) -> list[Chunk]:
    return [chunk async for chunk in engine.generate(request)]


def a_request(text: str = "the gene", tokens: int = 12, adapter: str | None = CHECKPOINT) -> Request:
    return Request(text, tokens, chat=False, ignore_eos=True, adapter=adapter)


async def test_both_work_and_answer_as_one_alone(workers: Workers, engine: BatchingEngine) -> None:
    assert workers.alive()
    assert workers.failure() is None
    alone = [chunk.token for chunk in await _all(engine, a_request())]
    answers = await asyncio.gather(*(_all(workers, a_request()) for _ in range(6)))
    assert [[chunk.token for chunk in answer] for answer in answers] == [alone] * 6

    def shared() -> bool:
        return all(far.state and far.state.load.stepped >= 3 * 12 for far in workers._far)

    await asyncio.to_thread(until, shared, limit=60, what="each has made three answers")


async def test_the_rest_of_an_engine(workers: Workers, engine: BatchingEngine) -> None:
    assert await workers.tokenize(a_request()) == await engine.tokenize(a_request())
    assert await workers.score(a_request(tokens=0)) == await engine.score(a_request(tokens=0))
    assert workers.text_of([5, 6, 7]) == engine.text_of([5, 6, 7])
    assert workers.tokenizer_info() == engine.tokenizer_info()
    assert workers.max_model_len == 256
    assert workers.load().max_queue == 8


async def test_adapters_are_loaded_into_both_or_into_none(workers: Workers, tmp_path: Path) -> None:
    second = an_adapter(tmp_path / "second", adapter_tensors(scale=0.1))
    await workers.load_adapter("second", second)
    assert set(workers.adapters()) == {CHECKPOINT, "second"}
    assert len(await _all(workers, a_request(adapter="second"))) == 12
    with pytest.raises(InvalidRequest, match="already"):
        await workers.load_adapter("second", second)
    await workers.unload_adapter("second")
    assert set(workers.adapters()) == {CHECKPOINT}
    with pytest.raises(UnknownAdapter):
        await _all(workers, a_request(adapter="second"))


async def test_a_place_is_free_when_nobody_waits(workers: Workers) -> None:
    answer = workers.generate(a_request(tokens=200))
    await anext(answer)
    await asyncio.to_thread(until, lambda: workers.load().running == 1, limit=60, what="it runs")
    await answer.aclose()
    await asyncio.to_thread(until, lambda: workers.load().running == 0, limit=10, what="its place is free")


async def test_a_full_queue_is_told(workers: Workers) -> None:
    crowd = [asyncio.create_task(_all(workers, a_request(tokens=100))) for _ in range(40)]
    done = await asyncio.gather(*crowd, return_exceptions=True)
    refused = [each for each in done if isinstance(each, BaseException)]
    assert refused
    assert all(isinstance(each, Overloaded) and each.retry_after >= 1 for each in refused)
    assert all(len(each) == 100 for each in done if not isinstance(each, BaseException))


def test_why_nothing_can_be_loaded_crosses_the_processes(start: Callable[..., Workers], tmp_path: Path) -> None:
    failure = start(tmp_path / "nowhere", 1).failure()
    assert isinstance(failure, LoadError)
    assert failure.reason == "CheckpointNotFound"


async def test_when_one_dies_all_know(start: Callable[..., Workers], adapter: Path) -> None:
    workers = start(adapter)
    crowd = [asyncio.create_task(_all(workers, a_request(tokens=200))) for _ in range(2)]
    await asyncio.to_thread(until, lambda: workers.load().running == 2, limit=60, what="both run")
    victim = workers._far[0].process.pid
    assert victim is not None
    os.kill(victim, signal.SIGKILL)
    done = await asyncio.gather(*crowd, return_exceptions=True)
    assert [type(each) for each in done] == [EngineFailed, list]
    failure = workers.failure()
    assert isinstance(failure, LoadError)
    assert failure.reason == "OutOfMemory"  # what else kills a process in a container
    assert "worker 0 was killed" in str(failure)
    assert not workers.alive()


@pytest.mark.parametrize(
    "error", [Overloaded("full", retry_after=3), LoadError("OutOfMemory", "too large"), errors.NotReady("soon")]
)
def test_errors_can_be_sent(error: errors.EngineError) -> None:
    again = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own
    assert (type(again), str(again), vars(again)) == (type(error), str(error), vars(error))


async def test_what_is_told_at_once_is_one_message_in_its_order(engine: BatchingEngine) -> None:
    near, far = multiprocessing.Pipe()
    worker = _Worker(far, engine, None)
    for number, news in ((1, "a"), (2, "b"), (1, "c")):
        worker._send(number, news)
    await asyncio.to_thread(near.poll, 10)
    assert near.recv() == [(1, "a"), (2, "b"), (1, "c")]
    worker._send(1, "d")
    await asyncio.to_thread(near.poll, 10)
    assert near.recv() == [(1, "d")]
