"""What is patient leaves time to the others, reads in small parts beside them, and has all when there are none."""

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from types import SimpleNamespace

import pytest
from transformers.generation.continuous_batching.requests import RequestStatus

from forge_inference.engine.batching import BatchingEngine
from forge_inference.engine.contract import Request
from forge_inference.engine.fairness import Fair, _uncut
from tests.inference.engine.conftest import QUIET, Gate
from tests.support.waiting import until

pytestmark = [pytest.mark.model, QUIET]
LONG = tuple(range(3, 203))  # tokens
Lasts = Callable[[float], list[bool]]


async def _ends(engine: BatchingEngine, *, patient: bool) -> None:
    async with aclosing(engine.generate(Request(LONG, 1, patient=patient))) as answer:
        assert len([chunk async for chunk in answer]) == 1


def _asked(engine: BatchingEngine) -> int:
    load = engine.load()
    return load.waiting + load.running


@pytest.fixture
def lasts(engine: BatchingEngine, monkeypatch: pytest.MonkeyPatch) -> Lasts:
    """Make a step last a second, and as long as is said when a patient request takes part beside others.

    Gives whether one did in each step that others took part in.
    """
    assert engine._serving is not None
    scheduler = engine._serving.batches._scheduler
    patient = list[bool]()
    monkeypatch.setattr(scheduler, "_alone", float("inf"))  # of the tests before, in seconds of a clock
    monkeypatch.setattr(scheduler, "_owed", 0.0)

    def said(seconds: float) -> list[bool]:
        def took(_: float) -> None:
            if scheduler._others:
                patient.append(scheduler._patient)
            Fair.took(scheduler, seconds if scheduler._patient else 1.0)

        monkeypatch.setattr(scheduler, "took", took)
        return patient

    return said


async def _steps(engine: BatchingEngine, gate: Gate, *, patient: bool) -> int:
    """In how many steps a long prompt is read while somebody else is answered."""
    async with aclosing(engine.generate(Request("the gene", 200, ignore_eos=True))) as other:
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
    return steps


@pytest.mark.parametrize(("patient", "least", "most"), [(True, 200 // 16, 40), (False, 1, 8)])
async def test_while_somebody_is_answered_it_is_read_in_small_parts(
    engine: BatchingEngine, gate: Gate, lasts: Lasts, patient: bool, least: int, most: int
) -> None:
    lasts(1.0)
    assert least <= await _steps(engine, gate, patient=patient) <= most


@pytest.mark.parametrize("seconds", [1.8, 5.0])
async def test_it_takes_part_as_often_as_the_others_can_spare_the_time(
    engine: BatchingEngine, gate: Gate, lasts: Lasts, seconds: float
) -> None:
    took_part = lasts(seconds)
    await _steps(engine, gate, patient=True)
    beside, own = took_part.count(True), took_part.count(False)
    lost = (seconds - 1) * beside
    assert 0.3 * own <= lost <= 0.4 * own + (seconds - 1) + 1e-6, "no more, but for the last, and not much less"


async def test_alone_it_is_read_at_once(engine: BatchingEngine, gate: Gate) -> None:
    gate.permits.release()
    await _ends(engine, patient=True)
    assert gate.steps == 1


@pytest.mark.parametrize(
    ("answers", "prompts", "used"),
    [
        (3, [100, 200], 512),  # all fit
        (3, [300, 300], 303),  # the second is read as a whole in the next step
        (3, [300, 600], 512),  # no step reads the second as a whole, so this one begins with it
        (3, [510], 512),  # one that comes first is cut: to wait would not help it
        (0, [1, 512], 1),
    ],
)
def test_no_prompt_is_cut_that_the_next_step_reads_as_a_whole(answers: int, prompts: list[int], used: int) -> None:
    waiting = [SimpleNamespace(status=RequestStatus.PENDING, remaining_prefill_tokens=[0] * each) for each in prompts]
    answering = [SimpleNamespace(status=RequestStatus.DECODING, remaining_prefill_tokens=[])] * answers
    assert _uncut([*answering, *waiting], 512) == used
