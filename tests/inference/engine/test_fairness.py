"""A patient prompt leaves each step to the others, and takes all of it when there are none."""

import asyncio
from contextlib import aclosing

import pytest

from forge_inference.engine.batching import BatchingEngine
from forge_inference.engine.contract import Request
from tests.inference.engine.conftest import QUIET, Gate
from tests.support.waiting import until

pytestmark = [pytest.mark.model, QUIET]
LONG = tuple(range(3, 203))  # tokens


async def _ends(engine: BatchingEngine, *, patient: bool) -> None:
    async with aclosing(engine.generate(Request(LONG, 1, patient=patient))) as answer:
        assert len([chunk async for chunk in answer]) == 1


def _asked(engine: BatchingEngine) -> int:
    load = engine.load()
    return load.waiting + load.running


@pytest.mark.parametrize(("patient", "least", "most"), [(True, 200 // 16, 40), (False, 1, 8)])
async def test_while_somebody_is_answered_it_is_read_in_small_parts(
    engine: BatchingEngine, gate: Gate, patient: bool, least: int, most: int
) -> None:
    async with aclosing(engine.generate(Request("the gene", 100, ignore_eos=True))) as other:
        gate.permits.release()
        await anext(other)
        reading, steps = asyncio.create_task(_ends(engine, patient=patient)), 0
        await asyncio.to_thread(until, lambda: _asked(engine) == 2, limit=20, what="both to be asked", pause=0.01)
        while not reading.done():
            gate.permits.release()
            await anext(other)
            steps += 1
            await asyncio.sleep(0.01)  # what the step has told goes its way
        await reading
    gate.permits.release()
    assert least <= steps <= most


async def test_alone_it_is_read_at_once(engine: BatchingEngine, gate: Gate) -> None:
    gate.permits.release()
    await _ends(engine, patient=True)
    assert gate.steps == 1
