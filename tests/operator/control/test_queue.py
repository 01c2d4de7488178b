"""The queue's promises: each key once, one worker per key, later and later after failures."""

import asyncio

import pytest

from forge_operator.control.queue import FIRST_RETRY, LAST_RETRY, Queue


async def taken(queue: Queue[str]) -> str | None:
    try:
        return await asyncio.wait_for(queue.get(), 0.05)
    except TimeoutError:
        return None


async def test_many_additions_are_one() -> None:
    queue: Queue[str] = Queue()
    for _ in range(3):
        queue.add("a")
    assert queue.depth() == 1
    assert await taken(queue) == "a"
    assert await taken(queue) is None


async def test_a_key_is_never_given_to_two_workers_and_comes_again_after() -> None:
    queue: Queue[str] = Queue()
    queue.add("a")
    assert await taken(queue) == "a"
    queue.add("a")
    assert await taken(queue) is None
    queue.done("a")
    assert await taken(queue) == "a"
    queue.done("a")
    assert await taken(queue) is None


async def test_other_keys_do_not_wait_for_a_busy_one() -> None:
    queue: Queue[str] = Queue()
    queue.add("a")
    assert await taken(queue) == "a"
    queue.add("b")
    assert await taken(queue) == "b"


async def test_urgent_keys_come_first_and_the_rest_in_order() -> None:
    queue: Queue[str] = Queue()
    for key in ("a", "b"):
        queue.add(key)
    queue.add("new", urgent=True)
    assert [await taken(queue) for _ in range(3)] == ["new", "a", "b"]


async def test_a_key_gives_way_to_urgent_ones_and_comes_after_them() -> None:
    queue: Queue[str] = Queue()
    queue.add("a", urgent=True)
    assert await taken(queue) == "a"
    assert not queue.give_way("a")
    queue.add("b", urgent=True)
    assert queue.give_way("a")
    queue.done("a")
    assert [await taken(queue) for _ in range(3)] == ["b", "a", None]


async def test_the_earlier_of_two_appointments_counts() -> None:
    queue: Queue[str] = Queue()
    queue.add_after("a", 30)
    queue.add_after("a", 0.001)
    queue.add_after("a", 60)
    assert await asyncio.wait_for(queue.get(), 2) == "a"


async def test_retries_double_up_to_the_cap_and_begin_anew_after_success() -> None:
    queue: Queue[str] = Queue()
    pauses = [queue.retry("a") for _ in range(12)]
    assert pauses[:3] == [FIRST_RETRY, 2 * FIRST_RETRY, 4 * FIRST_RETRY]
    assert pauses[-1] == LAST_RETRY
    queue.forget("a")
    assert queue.retry("a") == FIRST_RETRY
    assert queue.retry("b", at_least=5) == 5


async def test_it_is_stuck_only_while_there_is_work(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr("forge_operator.control.queue.time.monotonic", lambda: now)
    queue: Queue[str] = Queue()
    now += 500
    assert queue.stuck_for() == 0
    queue.add("a")
    assert queue.stuck_for() == 0, "the wait begins with the work"
    now += 100
    assert queue.stuck_for() == 100
    await taken(queue)
    assert queue.stuck_for() == 100, "a worker that never finishes is stuck, too"
    queue.done("a")
    assert queue.stuck_for() == 0
