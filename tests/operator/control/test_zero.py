"""Models that may have no pod: when the last one goes, who stands in, and what nobody may take away."""

from datetime import timedelta
from typing import Any

import pytest

from forge_operator.api.v1alpha1 import Manifest
from forge_operator.cluster.kinds import ENDPOINT_SLICE
from forge_operator.cluster.reports import ReportUnavailable
from forge_operator.errors import NotYet
from tests.operator.control.bench import Bench
from tests.support.models import a_report

IDLE_SECONDS = 60
MAY_SLEEP = {"minReplicas": 0, "maxReplicas": 3, "idleSeconds": IDLE_SECONDS}


def said(idle: Any) -> Manifest:
    return {**a_report().model_dump(by_alias=True), "idleSeconds": idle}


def addresses(bench: Bench) -> list[str]:
    return [end["addresses"][0] for end in slice_of(bench)["endpoints"]]


def slice_of(bench: Bench) -> Manifest:
    return bench.cluster.objects[bench.place("EndpointSlice")]


def replicas(bench: Bench) -> int | None:
    found: int | None = bench.cluster.objects[bench.place("Deployment")]["spec"].get("replicas")
    return found


def later(bench: Bench, seconds: float) -> None:
    bench.now += timedelta(seconds=seconds)


async def awake(**settings: Any) -> Bench:
    """A model that may sleep, with one pod that has been ready for as long as it may be idle, and is at work."""
    bench = Bench(settings, autoscaling=MAY_SLEEP)
    bench.pods.answer = said(0)
    await bench.reconcile()
    bench.cluster.scaled_by("hpa", bench.place("Deployment"), 1)
    bench.a_ready_pod()
    later(bench, IDLE_SECONDS)
    await bench.reconcile()
    bench.cluster.writes.clear()
    bench.again.clear()
    return bench


async def asleep() -> Bench:
    bench = await awake()
    bench.pods.answer = said(IDLE_SECONDS)
    later(bench, IDLE_SECONDS)
    await bench.reconcile()
    for place in [place for place in bench.cluster.objects if place.kind == "Pod"]:
        bench.cluster.remove(place)
    await bench.reconcile()
    assert replicas(bench) == 0
    bench.cluster.writes.clear()
    return bench


async def test_only_a_model_that_may_be_at_zero_has_a_slice(bench: Bench) -> None:
    assert not bench.cluster.of(ENDPOINT_SLICE)
    assert (await awake()).cluster.of(ENDPOINT_SLICE)
    for off in ({"backend": "none"}, {"activator": {"enabled": False}}):
        other = Bench({"autoscaling": off}, autoscaling=MAY_SLEEP)
        await other.reconcile()
        assert not other.cluster.of(ENDPOINT_SLICE)


async def test_the_activator_stands_in_before_the_first_pod_is_ready_and_until_everyone_knows_of_it() -> None:
    bench = Bench(autoscaling=MAY_SLEEP)
    await bench.reconcile()
    assert addresses(bench) == ["10.0.0.9"]
    bench.a_ready_pod()
    await bench.reconcile()
    assert addresses(bench) == ["10.0.0.9"]
    later(bench, max(bench.again[:1]))
    await bench.reconcile()
    assert addresses(bench) == [], "pods answer for themselves"


async def test_an_idle_model_goes_to_zero_after_the_activator_stands_in() -> None:
    bench = await awake()
    bench.pods.answer = said(IDLE_SECONDS + 1)
    later(bench, IDLE_SECONDS)
    await bench.reconcile()
    assert replicas(bench) == 0
    verbs = [(verb, place.kind) for verb, place in bench.cluster.writes if verb != "status"]
    assert verbs == [("apply", "EndpointSlice"), ("scale", "Deployment")]
    assert addresses(bench) == ["10.0.0.9"]


async def test_a_model_asleep_says_so_and_rests() -> None:
    bench = await asleep()
    assert bench.condition() == ("Unknown", "Idle")
    assert bench.condition("AutoscalingActive") == ("True", "Idle")
    await bench.reconcile()
    assert bench.cluster.writes == []
    assert any(each["reason"] == "Idle" for each in bench.cluster.events)


async def test_a_woken_model_serves_and_its_pods_answer_for_themselves() -> None:
    bench = await asleep()
    bench.cluster.scaled_by("activator", bench.place("Deployment"), 1)
    await bench.reconcile()
    assert addresses(bench) == ["10.0.0.9"]
    bench.a_ready_pod("pod-2")
    bench.pods.answer = said(0)
    later(bench, 10)
    await bench.reconcile()
    assert addresses(bench) == []
    assert bench.condition() == ("True", "Serving")
    assert replicas(bench) == 1


async def test_a_pod_that_has_just_started_is_not_idle_whatever_it_says() -> None:
    bench = await asleep()
    bench.cluster.scaled_by("activator", bench.place("Deployment"), 1)
    bench.a_ready_pod("pod-2")
    bench.pods.answer = said(9999)  # since its process began, which took long to load
    later(bench, IDLE_SECONDS - 1)
    await bench.reconcile()
    assert replicas(bench) == 1
    later(bench, 1)
    await bench.reconcile()
    assert replicas(bench) == 0


@pytest.mark.parametrize(
    "answer",
    [
        said(0),
        said(IDLE_SECONDS - 1),
        said(None),
        a_report().model_dump(by_alias=True),
        ReportUnavailable("no answer within 5 s"),
    ],
    ids=["busy", "not for long enough", "null", "an older server", "silent"],
)
async def test_what_is_not_known_to_be_idle_stays(answer: Any) -> None:
    bench = await awake()
    bench.pods.answer = answer
    later(bench, IDLE_SECONDS)
    await bench.reconcile()
    assert replicas(bench) == 1
    assert bench.cluster.writes == []
    assert bench.again, "it is looked at again"


async def test_one_pod_that_is_not_ready_keeps_all() -> None:
    bench = await awake()
    bench.a_ready_pod("pod-2")
    place = next(place for place in bench.cluster.objects if place.name == "pod-2")
    bench.cluster.edit(place, lambda pod: pod["status"]["conditions"][0].update(status="False"))
    bench.pods.answer = said(9999)
    later(bench, IDLE_SECONDS)
    await bench.reconcile()
    assert replicas(bench) == 1


async def test_without_an_activator_nothing_goes_to_zero_and_the_status_says_so() -> None:
    bench = await awake()
    bench.activators.addresses = ()
    bench.pods.answer = said(9999)
    later(bench, IDLE_SECONDS)
    await bench.reconcile()
    assert replicas(bench) == 1
    bench.cluster.edit(bench.place("HorizontalPodAutoscaler"), lambda hpa: hpa.update(status={}))
    await bench.reconcile()
    assert bench.condition("AutoscalingActive") == ("Unknown", "ActivatorMissing")
    assert bench.condition() == ("True", "Serving")


async def test_a_model_asleep_without_an_activator_does_not_say_that_a_request_wakes_it() -> None:
    bench = await asleep()
    bench.activators.addresses = ()
    await bench.reconcile()
    assert addresses(bench) == []
    assert bench.condition() == ("Unknown", "ActivatorMissing")


async def test_of_which_family_the_addresses_are_is_not_guessed() -> None:
    bench = Bench(autoscaling=MAY_SLEEP)
    bench.activators.addresses = ()
    await bench.reconcile()
    assert not bench.cluster.of(ENDPOINT_SLICE)
    bench.activators.addresses, bench.activators.family = ("fd00::9",), "IPv6"
    await bench.reconcile()
    assert (slice_of(bench)["addressType"], addresses(bench)) == ("IPv6", ["fd00::9"])


async def test_a_slice_keeps_its_family_while_no_activator_is_there() -> None:
    bench = Bench(autoscaling=MAY_SLEEP)
    bench.activators.addresses, bench.activators.family = ("fd00::9",), "IPv6"
    await bench.reconcile()
    bench.activators.addresses, bench.activators.family = (), "IPv4"
    await bench.reconcile()
    assert (slice_of(bench)["addressType"], addresses(bench)) == ("IPv6", [])


async def test_the_slice_follows_the_activators_pods() -> None:
    bench = await asleep()
    bench.activators.addresses = ("10.0.0.10", "10.0.0.11")
    await bench.reconcile()
    assert addresses(bench) == ["10.0.0.10", "10.0.0.11"]


async def test_pods_are_asked_only_when_they_could_have_been_idle_for_long_enough() -> None:
    bench = await awake()
    bench.pods.asked.clear()
    bench.pods.answer = said(10)
    for _ in range(5):
        later(bench, 5)
        await bench.reconcile()
    assert bench.pods.asked == []
    assert min(bench.again) <= IDLE_SECONDS


async def test_a_shorter_idle_time_counts_at_once() -> None:
    bench = await awake()
    bench.pods.answer = said(20)
    await bench.reconcile()
    bench.cluster.edit(
        bench.place("ScientificModel"),
        lambda m: (m["spec"]["autoscaling"].update(idleSeconds=15), m["metadata"].update(generation=2)),
    )
    await bench.reconcile()
    assert replicas(bench) == 0


async def test_somebody_who_scales_at_the_same_moment_wins() -> None:
    bench = await awake()
    bench.pods.answer = said(IDLE_SECONDS)
    later(bench, IDLE_SECONDS)
    place = bench.place("Deployment")

    def first(verb: str, at: Any) -> None:
        if verb == "scale":
            bench.cluster.refuse = lambda verb, place: None
            bench.cluster.scaled_by("hpa", place, 2)

    bench.cluster.refuse = first
    with pytest.raises(NotYet):
        await bench.reconcile()
    assert replicas(bench) == 2


async def test_keda_takes_the_last_pod_away_itself() -> None:
    bench = await awake(autoscaling={"backend": "keda"})
    bench.pods.answer = said(9999)
    later(bench, IDLE_SECONDS)
    await bench.reconcile()
    assert replicas(bench) == 1
    bench.cluster.scaled_by("keda", bench.place("Deployment"), 0)
    await bench.reconcile()
    assert addresses(bench) == ["10.0.0.9"]


async def test_a_model_that_must_have_a_pod_again_loses_its_slice() -> None:
    bench = await asleep()
    bench.cluster.edit(
        bench.place("ScientificModel"),
        lambda m: (m["spec"].update(autoscaling={"maxReplicas": 3}), m["metadata"].update(generation=2)),
    )
    await bench.reconcile()
    assert not bench.cluster.of(ENDPOINT_SLICE)
    assert replicas(bench) == 1
