"""One request runs, some wait, and each ends in its own way; a step is never more than one token."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from typing import Any

import pytest
import torch

from forge_inference.engine.batching import BatchingEngine
from forge_inference.engine.contract import Chunk, Request
from forge_inference.engine.errors import DeadlineExceeded, EngineFailed, NotReady, Overloaded
from tests.inference.engine.conftest import QUIET, Gate
from tests.support.waiting import until

pytestmark = [pytest.mark.model, QUIET]
LONG = Request("the gene", 100)


@pytest.fixture(scope="module")
def engine(make: Callable[..., BatchingEngine]) -> BatchingEngine:
    """Answers one request at a time."""
    return make(batch=1)


async def _is(engine: BatchingEngine, *, running: int, waiting: int) -> None:
    """Wait for it without holding up the event loop."""

    def reached() -> bool:
        load = engine.load()
        return (load.running, load.waiting) == (running, waiting)

    await asyncio.to_thread(until, reached, limit=60, what=f"{running} running, {waiting} waiting", pause=0.01)


def _begun(engine: BatchingEngine, request: Request = LONG) -> tuple[AsyncGenerator[Chunk, None], asyncio.Task[Chunk]]:
    answer = engine.generate(request)
    return answer, asyncio.ensure_future(anext(answer))


async def test_closing_an_answer_frees_the_slot_within_one_step(engine: BatchingEngine, gate: Gate) -> None:
    answer, first = _begun(engine)
    gate.permits.release()
    await first
    await answer.aclose()
    gate.permits.release()  # the step that had begun
    await _is(engine, running=0, waiting=0)
    assert gate.steps <= 2


async def test_a_full_queue_refuses_and_says_when_to_come_back(engine: BatchingEngine, gate: Gate) -> None:
    begun = [_begun(engine)]
    await _is(engine, running=1, waiting=0)
    begun += [_begun(engine), _begun(engine)]
    await _is(engine, running=1, waiting=2)
    with pytest.raises(Overloaded, match="2 requests wait already") as caught:
        await anext(engine.generate(LONG))
    assert caught.value.retry_after >= 1
    begun[-1][1].cancel()
    await _is(engine, running=1, waiting=1)
    for _, first in begun:
        first.cancel()
    await asyncio.gather(*(first for _, first in begun), return_exceptions=True)
    assert engine.load().waiting == 0


async def test_answers_come_in_the_order_of_the_questions(engine: BatchingEngine, gate: Gate) -> None:
    one, first = _begun(engine, Request("the gene", 2))
    await _is(engine, running=1, waiting=0)
    _, second = _begun(engine, Request("the protein", 1))
    await _is(engine, running=1, waiting=1)
    gate.permits.release()
    await first
    assert not second.done()
    gate.permits.release(2)
    assert (await anext(one)).finish == "length"
    assert (await second).finish == "length"


async def test_the_deadline_covers_waiting_and_answering(
    engine: BatchingEngine, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "_timeout", 0.3)
    (_, running), (_, waiting) = _begun(engine), _begun(engine)
    for first in (running, waiting):
        with pytest.raises(DeadlineExceeded, match="longer than this server allows"):
            await first
    gate.permits.release()
    await _is(engine, running=0, waiting=0)
    assert gate.steps == 1  # of the running one; the other never began


async def test_memory_that_runs_out_ends_the_answers_of_that_step_alone(engine: BatchingEngine, gate: Gate) -> None:
    _, first = _begun(engine)
    gate.broken = torch.OutOfMemoryError("CUDA out of memory")
    gate.permits.release()
    with pytest.raises(Overloaded, match="did not fit into the device's memory"):
        await first
    gate.broken = None
    gate.permits.release()
    assert [chunk.finish async for chunk in engine.generate(Request("the gene", 1))] == ["length"]


async def test_a_step_that_hangs_is_seen_as_a_lost_heart_beat(engine: BatchingEngine, gate: Gate) -> None:
    _, first = _begun(engine)
    await _is(engine, running=1, waiting=0)
    assert engine.alive()
    engine._beat = time.monotonic() - 301
    assert not engine.alive()
    first.cancel()
    gate.permits.release(2)
    await _is(engine, running=0, waiting=0)
    await asyncio.to_thread(until, engine.alive, limit=60, what="the heart beats again")


async def test_an_error_in_the_thread_ends_the_engine_and_everything_that_waits(
    make: Callable[..., BatchingEngine], caplog: pytest.LogCaptureFixture
) -> None:
    engine = make(batch=1)
    gate = _gated(engine)
    (_, running), (_, waiting) = _begun(engine), _begun(engine)
    await _is(engine, running=1, waiting=1)
    gate.broken = RuntimeError("device-side assert")
    gate.permits.release()
    for first in (running, waiting):
        with pytest.raises(EngineFailed, match="device-side assert"):
            await first
    await asyncio.to_thread(until, lambda: not engine.alive(), limit=60, what="the thread has ended")
    assert isinstance(engine.failure(), EngineFailed)
    assert "the engine ended" in caplog.text
    with pytest.raises(EngineFailed):
        await anext(engine.generate(LONG))


async def test_stopping_ends_the_thread_and_what_waits(make: Callable[..., BatchingEngine]) -> None:
    engine = make(batch=1)
    gate = _gated(engine)
    (_, running), (_, waiting) = _begun(engine), _begun(engine)
    await _is(engine, running=1, waiting=1)
    stopping = asyncio.create_task(asyncio.to_thread(engine.stop))
    for first in (running, waiting):
        with pytest.raises(NotReady, match="stopping"):
            await first
    gate.permits.release(1)
    await stopping
    assert not engine.alive()
    assert engine.failure() is None
    assert gate.steps == 1


async def test_prompts_are_never_logged(engine: BatchingEngine, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    answer = [chunk async for chunk in engine.generate(Request("unpublished finding", 3))]
    assert len(answer) == 3
    assert "unpublished" not in caplog.text


def _gated(engine: BatchingEngine) -> Any:
    assert engine._serving is not None
    batches = engine._serving.batches
    batches._model = gate = Gate(batches._model)
    return gate
