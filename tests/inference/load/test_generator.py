"""The load as a whole: what it does while a server is slow, and what it says when it is slow itself."""

import asyncio
import time
from itertools import pairwise

import pytest

from forge_inference.load.client import Target
from forge_inference.load.dialects import DIALECTS, Wish
from forge_inference.load.figures import Slo, figures
from forge_inference.load.generator import ColdServer, Demand, measure
from forge_inference.load.records import Run
from tests.inference.load.runs import a_load, steady, told
from tests.inference.load.server import Asked, Script, serving


def stalls(begin: int, seconds: float) -> Script:
    """Answers at once, but from its request number `begin` on nobody for so many seconds."""
    free = asyncio.Event()
    free.set()

    async def script(asked: Asked) -> None:
        if asked.number == begin:
            free.clear()
            asyncio.get_running_loop().call_later(seconds, free.set)
        await free.wait()
        await asked.answer(1)

    return script


async def test_a_stall_is_in_the_figures_of_an_open_loop() -> None:
    """A second in which 40 requests are due; a third of all wait, on average for half of it."""
    async with serving(stalls(20, 1.0)) as server:
        found = told(await a_load(server.url, steady(40, 3.0)))
    assert found.requests.succeeded == 120
    assert found.ttft.p95 is not None
    assert found.ttft.p99 is not None
    assert found.ttft.p95 > 0.6
    assert found.ttft.p99 > 0.8
    assert max(second.in_flight for second in found.seconds_in_a_row) >= 10


async def test_the_same_stall_is_hidden_from_one_user_who_waits_for_answers() -> None:
    """What an open loop is for: here one request of many is slow, and those that would have come are not missed."""
    async with serving(stalls(20, 1.0)) as server:
        run = await a_load(server.url, Demand(crowd=1, crowd_seconds=3.0, warmup=0))
    found = told(run)
    assert found.ttft.max is not None
    assert found.ttft.p95 is not None
    assert found.ttft.max > 0.8
    assert found.ttft.p95 < 0.6


async def test_requests_are_sent_when_they_are_due_whatever_became_of_those_before() -> None:
    async with serving(lambda asked: asked.answer(1, first=2.0)) as server:
        run = await a_load(server.url, steady(20, 1.0))
    due = [record.due for record in run.records]
    sent = [record.sent for record in run.records if record.sent is not None]
    assert due == pytest.approx([number / 20 for number in range(20)])
    assert all(moment >= when for moment, when in zip(sent, due, strict=True))
    assert max(sent) < 2.0  # all of them before the first was answered
    assert run.in_flight == 0


async def test_users_of_a_closed_loop_wait_for_their_answers() -> None:
    most = busy = 0

    async def script(asked: Asked) -> None:
        nonlocal busy, most
        busy += 1
        most = max(most, busy)
        await asked.answer(1, first=0.1)
        busy -= 1

    async with serving(script) as server:
        run = await a_load(server.url, Demand(crowd=3, crowd_seconds=1.0, warmup=0))
    assert 1 < most <= 4  # the server may hear of a new request before it is done with the one before
    assert 3 <= len(run.records) <= 33
    assert all(record.whole for record in run.records)


async def test_users_of_a_closed_loop_do_not_storm_a_server_that_fails() -> None:
    async with serving(lambda asked: asked.refuse(500)) as server:
        await a_load(server.url, Demand(crowd=2, crowd_seconds=0.5, warmup=0))
    assert len(server.asked) == 2


async def test_a_generator_that_is_held_up_says_so_and_counts_its_own_delay() -> None:
    async def script(asked: Asked) -> None:
        if asked.number == 5:
            time.sleep(0.5)  # noqa: ASYNC251 - holds up the loop that the generator shares with this server
        await asked.answer(1)

    async with serving(script) as server:
        run = await a_load(server.url, steady(20, 1.0))
    found = figures(run, Slo(), 0.05)
    assert found.generator.late.max is not None
    assert found.generator.late.max > 0.3
    assert found.generator.doubts
    assert found.ttft.max is not None
    assert found.ttft.max > 0.3


async def test_a_load_that_is_stopped_keeps_what_it_has() -> None:
    stop, told_ = asyncio.Event(), list[Run]()

    async def script(asked: Asked) -> None:
        if asked.number == 10:
            stop.set()
        await asked.answer(1, first=0.0 if asked.number < 8 else 60.0)

    dialect = DIALECTS["completions"]
    async with serving(script) as server:
        target = Target(server.url + dialect.path, dialect, Wish(), timeout=60)
        run = await measure(target, steady(10, 600), stop, told_.append)
    counts = told(run).requests
    assert run.interrupted
    assert run.lasted < 60
    assert counts.succeeded == 8
    assert counts.unfinished >= 3
    assert counts.offered < 100  # of 6,000: those that were due
    assert [run.seconds for run in told_[:1]] == [600]


async def test_warm_up_requests_are_not_measured() -> None:
    async with serving(lambda asked: asked.answer(1)) as server:
        run = await a_load(server.url, steady(10, 0.5, warmup=3))
    assert len(server.asked) == len(run.records) + 3
    assert [record.number for record in run.records] == list(range(5))


async def test_nothing_is_measured_of_a_server_that_fails_the_warm_up() -> None:
    async with serving(lambda asked: asked.refuse(404, "There is no such model.")) as server:
        with pytest.raises(ColdServer, match=r"HTTP 404: There is no such model\."):
            await a_load(server.url, steady(10, 0.5, warmup=2))
    assert len(server.asked) == 1


async def test_prompts_go_round_and_prompts_by_length_are_all_different() -> None:
    from forge_inference.load.prompts import Prompts

    async with serving(lambda asked: asked.answer(1)) as server:
        await a_load(server.url, steady(20, 0.3, prompts=Prompts(("a", "b"))))
        await a_load(server.url, steady(20, 0.3, prompts=Prompts(tokens=50)))
    texts = [asked.body["prompt"] for asked in server.asked]
    assert texts[:6] == ["a", "b"] * 3
    assert {len(text.split()) for text in texts[6:]} == {50}
    assert all(before[:40] != after[:40] for before, after in pairwise(sorted(texts[6:])))
