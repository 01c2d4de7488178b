"""What the activator learns from EndpointSlices."""

import asyncio

from forge_operator.activator.table import Place, Table
from forge_operator.cluster.watch import Changed, Listed
from tests.support.slices import our_slice, pod_slice

HBB = Place("lab", "hbb-expert")


def test_a_slice_of_the_operator_says_whose_a_port_is() -> None:
    table = Table()
    table.take(Listed([our_slice(20_001, name="HBB.v2")]))
    target = table.target(20_001)
    assert target is not None
    assert target.model == "HBB.v2", "the whole name"
    assert target.place == Place("lab", our_slice(1, name="HBB.v2")["metadata"]["name"])
    assert table.target(20_002) is None


def test_slices_of_kubernetes_say_where_ready_pods_are_and_are_no_ports() -> None:
    table = Table()
    table.take(Listed([our_slice(20_001), pod_slice(("10.0.0.1", 8000), ("10.0.0.2", 8000), waits=1)]))
    assert table.ready(HBB) == [("10.0.0.1", 8000), ("10.0.0.2", 8000)]
    assert table.ports() == {20_001}


def test_several_slices_of_one_service_are_taken_together() -> None:
    table = Table()
    table.take(Listed([pod_slice(("10.0.0.1", 8000), name="a"), pod_slice(("10.0.0.2", 8000), name="b")]))
    table.take(Changed(pod_slice(("10.0.0.1", 8000), name="a"), gone=True))
    assert table.ready(HBB) == [("10.0.0.2", 8000)]


def test_an_endpoint_that_says_nothing_of_itself_counts_as_ready() -> None:
    unsaid = pod_slice(("10.0.0.1", 8000))
    del unsaid["endpoints"][0]["conditions"]
    table = Table()
    table.take(Listed([unsaid]))
    assert table.ready(HBB) == [("10.0.0.1", 8000)]


def test_what_a_later_list_lacks_is_gone() -> None:
    table = Table()
    table.take(Listed([our_slice(20_001), pod_slice(("10.0.0.1", 8000))]))
    table.take(Listed([]))
    assert table.ports() == set()
    assert table.ready(HBB) == []


def test_a_list_of_one_namespace_says_nothing_of_another() -> None:
    table = Table(["lab", "other"])
    table.take(Listed([our_slice(20_001)]), "lab")
    assert not table.known
    table.take(Listed([our_slice(20_002, namespace="other")]), "other")
    assert table.known
    table.take(Listed([]), "other")
    assert table.ports() == {20_001}


def test_a_port_that_two_slices_claim_stays_with_the_older_one() -> None:
    old = our_slice(20_001, made="2026-11-26T10:00:00Z", name="old")
    thief = our_slice(20_001, made="2026-11-26T11:00:00Z", name="thief", namespace="elsewhere", uid="another")
    for order in ([old, thief], [thief, old]):
        table = Table()
        table.take(Listed(order))
        target = table.target(20_001)
        assert target is not None
        assert target.model == "old"


def test_a_slice_that_no_operator_made_opens_no_port() -> None:
    orphan, outside = our_slice(20_001), our_slice(80)
    del orphan["metadata"]["ownerReferences"]
    table = Table()
    table.take(Listed([orphan, outside]))
    assert table.ports() == set()


async def test_who_waits_hears_of_a_pod_that_gets_ready() -> None:
    table = Table()
    table.take(Listed([pod_slice()]))
    heard = asyncio.create_task(table.news(HBB, 30))
    await asyncio.sleep(0)
    table.take(Changed(pod_slice(waits=1), gone=False))
    await asyncio.sleep(0)
    assert not heard.done(), "a pod that is not ready is no news"
    table.take(Changed(pod_slice(("10.0.0.1", 8000)), gone=False))
    await asyncio.wait_for(heard, 1)


async def test_who_waits_is_told_when_the_time_is_over() -> None:
    await asyncio.wait_for(Table().news(HBB, 0.01), 1)
