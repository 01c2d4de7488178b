"""One reconcile against a cluster in memory: what is written, and above all what is not."""

import copy
from datetime import timedelta
from typing import Any

import pytest

from forge_operator.api.v1alpha1 import Manifest
from forge_operator.cluster.errors import ClusterError, Declined, Terminating, Unavailable
from forge_operator.cluster.kinds import CHILDREN
from forge_operator.cluster.reports import ReportUnavailable
from forge_operator.control.cache import Id
from forge_operator.errors import ChildDeclined, NameConflict, NotYet
from tests.operator.control.bench import KEY, NOW, Bench
from tests.support.models import UID, a_report

SOMETIMES = {"PodDisruptionBudget", "HorizontalPodAutoscaler", "ScaledObject"}


async def test_children_and_status_are_made(bench: Bench) -> None:
    kinds = {place.kind for place in bench.cluster.objects}
    assert kinds == {"ScientificModel", "Pod", *CHILDREN} - SOMETIMES


async def test_a_second_look_writes_nothing(bench: Bench) -> None:
    await bench.reconcile()
    assert bench.cluster.writes == []
    assert bench.pods.asked == ["pod-1"], "a report is read once"


async def test_a_restart_writes_nothing(bench: Bench) -> None:
    bench.restart()
    await bench.reconcile()
    assert bench.cluster.writes == []


@pytest.mark.parametrize("kind", sorted(set(CHILDREN) - SOMETIMES))
async def test_a_deleted_child_is_made_again(bench: Bench, kind: str) -> None:
    bench.cluster.remove(bench.place(kind))
    await bench.reconcile()
    assert ("apply", bench.place(kind)) in bench.cluster.writes


async def test_an_edited_child_is_put_back_alone(bench: Bench) -> None:
    bench.cluster.edit(bench.place("Service"), lambda s: s["spec"].update(type="NodePort"))
    await bench.reconcile()
    assert bench.cluster.writes == [("apply", bench.place("Service"))]


async def test_what_others_add_stays_and_is_not_written_over(bench: Bench) -> None:
    def inject(deployment: Manifest) -> None:
        deployment["metadata"]["labels"]["team"] = "genetics"
        deployment["spec"]["template"]["spec"]["containers"].append({"name": "mesh", "image": "mesh:1"})

    bench.cluster.edit(bench.place("Deployment"), inject)
    await bench.reconcile()
    assert bench.cluster.writes == []


async def test_a_child_that_is_no_longer_wanted_goes() -> None:
    bench = Bench(replicas=2)
    await bench.reconcile()
    bench.cluster.edit(bench.place("ScientificModel"), lambda m: (m["spec"].update(replicas=1), bump(m)))
    await bench.reconcile()
    assert ("delete", bench.place("PodDisruptionBudget")) in bench.cluster.writes
    bench.cluster.writes.clear()
    await bench.reconcile()
    assert bench.cluster.writes == []


def bump(model: Manifest) -> None:
    model["metadata"]["generation"] += 1


@pytest.mark.parametrize(
    ("change", "reason"),
    [({"profile": "tpu"}, "InvalidSpec"), ({"checkpoint": {"uri": "hf://org/run"}}, "SourceDenied")],
)
async def test_what_cannot_be_obeyed_is_told_and_touches_nothing_that_runs(
    bench: Bench, change: dict[str, Any], reason: str
) -> None:
    bench.cluster.edit(bench.place("ScientificModel"), lambda m: (m["spec"].update(change), bump(m)))
    await bench.reconcile()
    assert bench.condition() == ("False", reason)
    assert bench.cluster.writes == [("status", bench.place("ScientificModel"))]


async def test_a_name_that_is_taken_is_told_and_looked_at_again(bench: Bench) -> None:
    bench.cluster.remove(bench.place("Service"))
    bench.cluster.put("Service", {"metadata": {"name": "hbb-expert", "namespace": "lab"}})
    with pytest.raises(NameConflict):
        await bench.reconcile()
    assert bench.condition() == ("False", "NameConflict")
    bench.cluster.remove(bench.place("Service"))
    await bench.reconcile()
    assert bench.condition() == ("True", "Serving")


async def test_a_child_that_the_cluster_declines_is_told_with_its_words(bench: Bench) -> None:
    bench.cluster.remove(bench.place("Service"))
    bench.cluster.refuse = lambda verb, place: Declined("exceeded quota: services", 403) if verb == "apply" else None
    with pytest.raises(ChildDeclined):
        await bench.reconcile()
    assert bench.condition() == ("False", "InvalidSpec")
    assert "exceeded quota" in bench.model()["status"]["conditions"][0]["message"]


async def test_an_api_server_that_is_away_changes_no_status(bench: Bench) -> None:
    before = copy.deepcopy(bench.model())
    bench.cluster.remove(bench.place("Service"))

    def away(verb: str, place: Id) -> ClusterError:
        return Unavailable("connection refused")

    bench.cluster.refuse = away
    with pytest.raises(Unavailable):
        await bench.reconcile()
    assert bench.model() == before


async def test_a_pod_without_a_report_does_not_make_the_model_ready_and_is_asked_again(bench: Bench) -> None:
    bench.restart()
    bench.pods.answer = ReportUnavailable("the pod answered 503")
    with pytest.raises(NotYet):
        await bench.reconcile()
    assert bench.condition() == ("Unknown", "AwaitingReport")
    bench.pods.answer = a_report().model_dump(by_alias=True)
    await bench.reconcile()
    assert bench.condition() == ("True", "Serving")


async def test_a_report_that_is_not_one_is_told_by_its_field(bench: Bench) -> None:
    bench.restart()
    bench.pods.answer = {**a_report().model_dump(by_alias=True), "checkpoint": {"rank": 8}}
    with pytest.raises(NotYet):
        await bench.reconcile()
    message = bench.model()["status"]["conditions"][0]["message"]
    assert "checkpoint.digest" in message


async def test_a_server_that_was_started_again_is_asked_again(bench: Bench) -> None:
    place = Id("Pod", "lab", "pod-1")
    bench.cluster.edit(place, lambda pod: pod["status"]["containerStatuses"][0].update(restartCount=1))
    await bench.reconcile()
    assert bench.pods.asked == ["pod-1", "pod-1"]


async def test_files_that_change_under_a_running_model_are_seen_at_the_next_look(bench: Bench) -> None:
    report = a_report().model_dump(by_alias=True)
    bench.pods.answer = {**report, "checkpoint": {**report["checkpoint"], "changedOnDisk": True}}
    bench.now = NOW + timedelta(seconds=59)
    await bench.reconcile()
    assert bench.condition("CheckpointVerified") == ("True", "Verified"), "a burst of events asks once"
    bench.now = NOW + timedelta(seconds=61)
    await bench.reconcile()
    assert bench.condition("CheckpointVerified") == ("False", "CheckpointChanged")
    assert bench.condition() == ("True", "Serving")
    bench.cluster.writes.clear()
    bench.now = NOW + timedelta(seconds=200)
    await bench.reconcile()
    assert bench.cluster.writes == []


async def test_a_pod_that_told_what_it_loaded_need_not_tell_it_again(bench: Bench) -> None:
    bench.pods.answer = ReportUnavailable("the pod answered 503")
    bench.now = NOW + timedelta(hours=1)
    await bench.reconcile()
    assert bench.condition() == ("True", "Serving")
    assert bench.cluster.writes == []


async def test_a_model_on_its_way_out_is_left_to_the_garbage_collector(bench: Bench) -> None:
    bench.cluster.edit(
        bench.place("ScientificModel"), lambda m: m["metadata"].update(deletionTimestamp="2026-11-24T12:00:00Z")
    )
    bench.cluster.remove(bench.place("Service"))
    await bench.reconcile()
    assert bench.cluster.writes == []


async def test_a_model_that_is_gone_when_its_status_is_written_is_no_error(bench: Bench) -> None:
    await bench.reconcile()
    bench.cluster.edit(bench.place("Deployment"), lambda d: d["status"].update(readyReplicas=0))
    gone = bench.cluster.remove(bench.place("ScientificModel"))
    bench.cache.put("Deployment", bench.cluster.objects[bench.place("Deployment")])
    await bench.reconciler.reconcile(KEY)
    assert ("status", bench.place("ScientificModel")) in bench.cluster.writes
    assert gone["metadata"]["uid"] == UID


async def test_pods_of_a_new_model_wait_until_no_other_is_more_urgent() -> None:
    bench = Bench()
    bench.gives_way = True
    await bench.reconcile()
    assert bench.place("Service") in bench.cluster.objects
    assert bench.place("Deployment") not in bench.cluster.objects
    await bench.reconcile()  # once is enough: nobody waits for ever
    assert bench.place("Deployment") in bench.cluster.objects
    assert bench.condition()[0] == "Unknown"


async def test_a_model_that_is_served_gives_way_to_nobody() -> None:
    bench = Bench()
    await bench.reconcile()
    del bench.cluster.objects[bench.place("Deployment")]
    bench.gives_way = True
    await bench.reconcile()
    assert bench.place("Deployment") in bench.cluster.objects


async def test_each_step_is_an_event_and_a_look_that_finds_nothing_new_is_none() -> None:
    bench = Bench()
    await bench.reconcile()
    bench.a_ready_pod()
    await bench.reconcile()
    await bench.reconcile()
    told = [(each["type"], each["reason"], each["regarding"]["name"]) for each in bench.cluster.events]
    assert told == [("Normal", "Creating", "hbb-expert"), ("Normal", "Serving", "hbb-expert")]


async def test_a_namespace_on_its_way_out_is_no_trouble(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    bench.cluster.refuse = lambda verb, place: Terminating("being terminated") if place.kind == "Event" else None
    bench.cluster.edit(bench.place("ScientificModel"), lambda m: m["spec"].update(replicas=0) or bump(m))
    await bench.reconcile()
    assert bench.condition() == ("False", "ScaledToZero")
    assert caplog.text == ""


async def test_an_event_that_is_declined_does_not_keep_the_status_back(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(verb: str, place: Id) -> Unavailable | None:
        return Unavailable("no more events") if place.kind == "Event" else None

    bench.cluster.refuse = refuse
    bench.cluster.edit(bench.place("ScientificModel"), lambda m: m["spec"].update(replicas=0) or bump(m))
    await bench.reconcile()
    assert bench.condition() == ("False", "ScaledToZero")
    assert "no more events" in caplog.text
