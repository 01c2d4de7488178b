"""The loops around the reconcile: failures of one model, lost events, deaf watches."""

import asyncio
import copy
from collections.abc import Awaitable, Callable

import pytest

from forge_operator.cluster.errors import Unavailable
from forge_operator.cluster.kinds import CHILDREN, MODEL, POD
from forge_operator.control import workers
from forge_operator.control.cache import Cache, Id, Key
from forge_operator.control.metrics import Metrics
from forge_operator.control.queue import Queue
from forge_operator.control.workers import Audit, prime, resync, work
from forge_operator.errors import NotYet
from tests.support.fake_cluster import FakeCluster
from tests.support.models import UID, a_body

KINDS = (MODEL, *CHILDREN.values(), POD)

KEY = Key("lab", "hbb-expert")
SERVICE = {
    "metadata": {
        "name": "hbb-expert",
        "namespace": "lab",
        "uid": "s1",
        "labels": {"app.kubernetes.io/managed-by": "scientificllm-forge"},
        "ownerReferences": [{"kind": "ScientificModel", "name": "hbb-expert", "uid": UID, "controller": True}],
    }
}
PLACE = Id("Service", "lab", "hbb-expert")


async def run_until(done: asyncio.Event, queue: Queue[Key], reconcile: Callable[[Key], Awaitable[None]]) -> Metrics:
    metrics = Metrics()
    worker = asyncio.create_task(work(queue, reconcile, metrics))
    await asyncio.wait_for(done.wait(), 5)
    await asyncio.sleep(0)  # let it give the key back
    assert not worker.done()
    worker.cancel()
    return metrics


@pytest.mark.parametrize("error", [Unavailable("away"), NotYet("later", 0), ZeroDivisionError("a defect")])
async def test_a_failure_is_tried_again_and_stops_no_worker(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    queue: Queue[Key] = Queue()
    monkeypatch.setattr(queue, "retry", lambda key, at_least=0.0: queue.add(key) or 0.0)
    done, tries = asyncio.Event(), 0

    async def reconcile(key: Key) -> None:
        nonlocal tries
        tries += 1
        if tries == 1:
            raise error
        done.set()

    queue.add(KEY)
    await run_until(done, queue, reconcile)
    assert tries == 2


async def test_one_model_that_fails_does_not_hold_up_another() -> None:
    queue: Queue[Key] = Queue()
    other, done = Key("lab", "other"), asyncio.Event()

    async def reconcile(key: Key) -> None:
        if key == KEY:
            raise Unavailable("away")
        done.set()

    queue.add(KEY)
    queue.add(other)
    metrics = await run_until(done, queue, reconcile)
    assert b'forge_operator_errors_total{reason="Unavailable"} 1.0' in metrics.text()


async def test_every_model_comes_again_by_itself() -> None:
    queue: Queue[Key] = Queue()
    cache = Cache()
    cache.put("ScientificModel", {**a_body(), "metadata": {**a_body()["metadata"], "resourceVersion": "1"}})
    task = asyncio.create_task(resync(queue, cache, 0.05))
    try:
        for _ in range(3):
            assert await asyncio.wait_for(queue.get(), 5) == KEY
            queue.done(KEY)
    finally:
        task.cancel()


def seen() -> tuple[FakeCluster, Cache, Queue[Key], Audit]:
    cluster, cache, queue = FakeCluster(), Cache(), Queue[Key]()
    cache.put("Service", cluster.put("Service", copy.deepcopy(SERVICE)))
    return cluster, cache, queue, Audit(cluster, cache, queue, KINDS, [])


async def test_the_cache_is_filled_with_all_that_is_ours() -> None:
    cluster, *_ = seen()
    fresh = Cache()
    cluster.put("ScientificModel", a_body())
    cluster.put("Service", {"metadata": {"name": "theirs", "namespace": "lab"}})
    await prime(cluster, fresh, KINDS, [])
    assert fresh.models() == [KEY]
    assert fresh.children(UID) == [PLACE]
    assert fresh.child("Service", "lab", "theirs") is None
    elsewhere = Cache()
    await prime(cluster, elsewhere, KINDS, ["another"])
    assert elsewhere.models() == []


async def test_an_object_that_went_unseen_is_found_missing_at_the_second_look() -> None:
    cluster, cache, queue, audit = seen()
    cluster.remove(PLACE)
    await audit.look()
    assert queue.depth() == 0, "the event may still be on its way"
    await audit.look()
    assert cache.children(UID) == []
    assert await asyncio.wait_for(queue.get(), 1) == KEY
    assert audit.deaf == []


async def test_a_watch_that_does_not_tell_of_a_change_is_deaf_at_the_second_look() -> None:
    cluster, cache, _, audit = seen()
    changed = cluster.put("Service", copy.deepcopy(SERVICE))
    await audit.look()
    assert audit.deaf == []
    await audit.look()
    assert audit.deaf == ["Service"]
    cache.put("Service", changed)
    await audit.look()
    assert audit.deaf == []


async def test_at_the_start_looks_come_sooner_and_find_what_went_before_the_watch_began(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cluster, cache, queue, audit = seen()
    monkeypatch.setattr(workers, "_AUDIT_FIRST", (0.01, 0.01))
    cluster.remove(PLACE)
    task = asyncio.create_task(audit.run())
    try:
        assert await asyncio.wait_for(queue.get(), 5) == KEY
    finally:
        task.cancel()
    assert cache.children(UID) == []


async def test_looks_in_a_hurry_call_no_watch_deaf() -> None:
    cluster, _, _, audit = seen()
    cluster.put("Service", copy.deepcopy(SERVICE))
    for _ in range(3):
        await audit.look(hurried=True)
    assert audit.deaf == []


async def test_a_watch_that_is_only_late_is_not_deaf() -> None:
    cluster, cache, _, audit = seen()
    for _ in range(3):
        changed = cluster.put("Service", copy.deepcopy(SERVICE))
        await audit.look()
        cache.put("Service", changed)
    assert audit.deaf == []
