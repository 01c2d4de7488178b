"""When a child is written, and whose objects are left alone."""

import copy
import logging
from typing import Any

import pytest

from forge_operator.api.v1alpha1 import Manifest
from forge_operator.children import desired
from forge_operator.cluster.apply import Applier, difference, satisfied
from forge_operator.cluster.errors import Conflict, Declined, Forbidden, Terminating
from forge_operator.control.cache import Id
from forge_operator.errors import ChildDeclined, NameConflict, NotYet
from tests.support.fake_cluster import FakeCluster
from tests.support.models import a_model, some_settings

MODEL = a_model(replicas=2)
CHILD = {child["kind"]: child for child in desired(MODEL, some_settings())}
PLACE = Id("Service", "lab", "hbb-expert")


def live(kind: str = "Service", **metadata: Any) -> Manifest:
    child = copy.deepcopy(CHILD[kind])
    return {**child, "metadata": {**child["metadata"], "uid": "uid-live", "resourceVersion": "1", **metadata}}


@pytest.mark.parametrize(
    ("wanted", "there", "path"),
    [
        ({"a": 1}, {"a": 1, "b": 2}, None),
        ({"a": 1}, {"a": 2}, ".a"),
        ({"a": 1}, {}, ".a"),
        ({"a": {"b": 1}}, {"a": "text"}, ".a"),
        ({"a": []}, {"a": None}, ".a"),
        ({"a": ["x"]}, {"a": ["x"]}, None),
        ({"a": ["x"]}, {"a": ["x", "y"]}, ".a"),
        ({"a": [{"name": "x", "v": 1}]}, {"a": [{"name": "y"}, {"name": "x", "v": 1, "w": 2}]}, None),
        ({"a": [{"name": "x", "v": 1}]}, {"a": [{"name": "x", "v": 2}]}, ".a[x].v"),
        ({"a": [{"name": "x"}]}, {"a": [{"name": "y"}]}, ".a[x]"),
        ({"a": [{"port": 80, "t": 1}]}, {"a": [{"port": 80, "t": 1, "nodePort": 3}]}, None),
        ({"a": [{"key": 1}]}, {"a": [{"key": 1}]}, None),
        ({"a": [{"key": 1}]}, {"a": [{"key": 1, "more": 2}]}, ".a"),
        # Two of one type: only their order tells them apart.
        (
            {"a": [{"type": "x", "v": 1}, {"type": "x", "v": 2}]},
            {"a": [{"type": "x", "v": 1}, {"type": "x", "v": 2}]},
            None,
        ),
        (
            {"a": [{"type": "x", "v": 1}, {"type": "x", "v": 2}]},
            {"a": [{"type": "x", "v": 2}, {"type": "x", "v": 2}]},
            ".a",
        ),
        ({"a": [{"type": "x", "v": 1}, {"type": "y"}]}, {"a": [{"type": "y"}, {"type": "x", "v": 1}]}, None),
        ({"a": True}, {"a": False}, ".a"),
    ],
)
def test_the_first_difference_is_named_and_additions_are_none(wanted: Any, there: Any, path: str | None) -> None:
    assert difference(wanted, there) == path


def test_each_child_is_satisfied_by_itself() -> None:
    for child in CHILD.values():
        assert satisfied(child, copy.deepcopy(child))


async def test_a_child_that_exists_as_wanted_is_not_written() -> None:
    cluster = FakeCluster()
    assert await Applier(cluster).apply(CHILD["Service"], MODEL, live()) is None
    assert cluster.writes == []
    assert cluster.reads == []


async def test_a_child_that_no_watch_showed_is_made_without_a_look_first() -> None:
    cluster = FakeCluster()
    assert await Applier(cluster).apply(CHILD["Service"], MODEL, None)
    assert (cluster.reads, cluster.writes) == ([], [("apply", PLACE)])


async def test_an_object_without_our_controller_is_a_conflict_and_stays() -> None:
    cluster = FakeCluster()
    cluster.put("Service", {"metadata": {"name": "hbb-expert", "namespace": "lab"}})
    with pytest.raises(NameConflict, match="Service 'hbb-expert' exists in namespace 'lab'"):
        await Applier(cluster).apply(CHILD["Service"], MODEL, None)
    assert cluster.writes == []


async def test_a_conflict_names_the_controller_of_the_other_object() -> None:
    theirs = live(ownerReferences=[{"kind": "StatefulSet", "name": "db", "uid": "other", "controller": True}])
    with pytest.raises(NameConflict, match="belongs to StatefulSet 'db'"):
        await Applier(FakeCluster()).apply(CHILD["Service"], MODEL, theirs)


async def test_children_of_a_previous_model_of_this_name_are_waited_for() -> None:
    reference = {**CHILD["Service"]["metadata"]["ownerReferences"][0], "uid": "an-earlier-one"}
    with pytest.raises(NotYet, match="previous model"):
        await Applier(FakeCluster()).apply(CHILD["Service"], MODEL, live(ownerReferences=[reference]))


async def test_a_child_on_its_way_out_is_waited_for() -> None:
    with pytest.raises(NotYet, match="being deleted"):
        await Applier(FakeCluster()).apply(CHILD["Service"], MODEL, live(deletionTimestamp="2026-01-01T00:00:00Z"))


@pytest.mark.parametrize(
    ("error", "becomes", "words"),
    [
        (Terminating("", 403), NotYet, "Namespace 'lab' is being deleted"),
        (Conflict("changed", 409), NotYet, "changed"),
        (Forbidden("cannot patch services", 403), NotYet, "lacks a permission.*cannot patch services"),
        (Declined("exceeded quota: objects", 403), ChildDeclined, "declines the Service.*exceeded quota"),
    ],
)
async def test_a_refusal_becomes_a_sentence_about_whose_turn_it_is(
    error: Exception, becomes: type[Exception], words: str
) -> None:
    cluster = FakeCluster()
    cluster.refuse = lambda verb, place: error  # type: ignore[assignment, return-value]
    with pytest.raises(becomes, match=words):
        await Applier(cluster).apply(CHILD["Service"], MODEL, None)


async def test_what_the_cluster_changes_in_our_object_is_told_once_and_not_fought_over(
    caplog: pytest.LogCaptureFixture,
) -> None:
    cluster = FakeCluster()
    cluster.mutate = lambda thing: thing["spec"].update(type="LoadBalancer")
    applier = Applier(cluster)
    with caplog.at_level(logging.WARNING):
        made = await applier.apply(CHILD["Service"], MODEL, None)
        for version in ("7", "8", "9"):  # a controller reports something
            assert made is not None
            made = {**made, "metadata": {**made["metadata"], "resourceVersion": version}, "status": {"n": version}}
            assert await applier.apply(CHILD["Service"], MODEL, made) is None
    assert len(cluster.writes) == 1
    assert [record.getMessage() for record in caplog.records if ".spec.type" in record.getMessage()]


async def test_after_an_edit_it_is_tried_again_although_it_did_not_stick_before() -> None:
    cluster = FakeCluster()
    cluster.mutate = lambda thing: thing["spec"].update(type="LoadBalancer")
    applier = Applier(cluster)
    made = await applier.apply(CHILD["Service"], MODEL, None)
    assert made
    made["spec"]["selector"] = {"app": "another"}
    assert await applier.apply(CHILD["Service"], MODEL, made)
