"""Leader election, with a clock that the test turns."""

import asyncio
from typing import Any

import pytest

from forge_operator.api.v1alpha1 import Manifest
from forge_operator.cluster import leader as room
from forge_operator.cluster.errors import Conflict, Unavailable
from forge_operator.cluster.kinds import Kind
from forge_operator.cluster.leader import DURATION, Leader, LeadershipLost
from forge_operator.settings import LeaderElection


class Leases:
    """An API server with one Lease in it; `away` while it does not answer."""

    def __init__(self) -> None:
        self.lease: Manifest | None = None
        self.version = 0
        self.away = False

    async def get(self, kind: Kind, namespace: str, name: str, *, metadata_only: bool = False) -> Manifest | None:
        if self.away:
            raise Unavailable("connection refused")
        return self.lease

    async def request(self, method: str, path: str, *, body: Manifest | None = None, timeout: float = 5) -> Manifest:
        if self.away:
            raise Unavailable("connection refused")
        assert body
        present = str(self.version) if self.lease else None
        if body["metadata"].get("resourceVersion") != present:
            raise Conflict("the object has been modified", 409)
        self.version += 1
        self.lease = {**body, "metadata": {**body["metadata"], "resourceVersion": str(self.version)}}
        return self.lease

    @property
    def holder(self) -> Any:
        return self.lease and self.lease["spec"]["holderIdentity"]


class Clock:
    """Sleeping is what makes time pass; `then` is done once it reaches `at`."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.sleeps = 0

    async def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.sleeps += 1
        if self.sleeps > 100:
            raise AssertionError("it waits for ever")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    found = Clock()
    monkeypatch.setattr(room.time, "monotonic", lambda: found.now)
    monkeypatch.setattr(room.asyncio, "sleep", found.sleep)
    return found


def candidate(leases: Leases, name: str) -> Leader:
    return Leader(leases, LeaderElection(), name)


async def test_the_first_candidate_leads_at_once(clock: Clock) -> None:
    leases = Leases()
    one = candidate(leases, "one")
    await one.acquire()
    assert (one.leads, leases.holder, clock.sleeps) == (True, "one", 0)


async def test_a_dead_leader_is_followed_after_its_lease_and_not_before(clock: Clock) -> None:
    leases = Leases()
    await candidate(leases, "one").acquire()
    start = clock.now
    await candidate(leases, "two").acquire()
    assert leases.holder == "two"
    assert DURATION <= clock.now - start <= DURATION + 2 * room.RETRY


async def test_a_leader_that_ends_well_is_followed_at_once(clock: Clock) -> None:
    leases = Leases()
    one = candidate(leases, "one")
    await one.acquire()
    await one.release()
    assert not one.leads
    await candidate(leases, "two").acquire()
    assert (leases.holder, clock.sleeps) == ("two", 0)


async def test_a_stand_by_says_whom_it_waits_for(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    leases = Leases()
    await candidate(leases, "one").acquire()
    two = candidate(leases, "two")

    async def cut(seconds: float) -> None:
        raise asyncio.CancelledError

    monkeypatch.setattr(room.asyncio, "sleep", cut)
    with pytest.raises(asyncio.CancelledError):
        await two.acquire()
    assert two.waits_for == "one"


async def test_a_lease_that_somebody_else_took_is_lost_at_once(clock: Clock) -> None:
    leases = Leases()
    one = candidate(leases, "one")
    await one.acquire()
    assert leases.lease
    leases.lease["spec"].update(holderIdentity="two", renewTime="later")
    with pytest.raises(LeadershipLost, match="held by two"):
        await one.hold()
    assert clock.sleeps == 1


async def test_a_leader_that_cannot_renew_gives_up_before_another_may_follow(clock: Clock) -> None:
    leases = Leases()
    one = candidate(leases, "one")
    await one.acquire()
    start = clock.now
    leases.away = True
    with pytest.raises(LeadershipLost, match="could not be renewed"):
        await one.hold()
    assert clock.now - start < DURATION


async def test_of_two_that_try_at_once_one_leads(clock: Clock) -> None:
    leases = Leases()
    one, two = candidate(leases, "one"), candidate(leases, "two")
    seen = await asyncio.gather(one._try(), two._try())
    assert sorted(seen) == [False, True]
