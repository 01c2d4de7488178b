"""A model that an autoscaler has: what the operator leaves to it, and the little that it does itself."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from forge_operator.api.v1alpha1 import Manifest
from forge_operator.cluster.kinds import SCALED_OBJECT
from forge_operator.errors import NotYet
from tests.operator.control.bench import KINDS, NOW, Bench

HPA = "HorizontalPodAutoscaler"
KEDA = {"autoscaling": {"backend": "keda", "metricsAddress": "http://metrics"}}
WISH = {"maxReplicas": 5, "metrics": [{"type": "QueueDepth", "target": 2}]}


async def a_bench(settings: Mapping[str, Any] | None = None, **spec: Any) -> Bench:
    """A model that has been looked at, with a ready pod; without writes so far."""
    bench = Bench(settings, **{"autoscaling": WISH, **spec})
    await bench.reconcile()
    bench.a_ready_pod()
    await bench.reconcile()
    bench.cluster.writes.clear()
    return bench


def sees(bench: Bench, value: str, *, active: str = "True") -> None:
    """What the controller writes into the autoscaler's status."""
    status = {
        "conditions": [{"type": "ScalingActive", "status": active, "reason": "ValidMetricFound"}],
        "currentMetrics": [
            {"type": "Pods", "pods": {"metric": {"name": "forge_queue_depth"}, "current": {"averageValue": value}}}
        ],
    }
    bench.cluster.edit(bench.place(HPA), lambda hpa: hpa.update(status=status))


async def edit(bench: Bench, **spec: Any) -> None:
    def change(model: Manifest) -> None:
        model["spec"].update(spec)
        model["metadata"]["generation"] += 1

    bench.cluster.edit(bench.place("ScientificModel"), change)
    await bench.reconcile()


def replicas(bench: Bench) -> int:
    return int(bench.cluster.objects[bench.place("Deployment")]["spec"]["replicas"])


async def test_what_an_autoscaler_sets_is_never_set_back() -> None:
    bench = await a_bench()
    bench.cluster.scaled_by("an-autoscaler", bench.place("Deployment"), 4)
    await bench.reconcile()
    await bench.reconcile()
    assert replicas(bench) == 4
    assert {place.kind for _, place in bench.cluster.writes} == {"ScientificModel"}, "its status tells of it"


async def test_switched_on_and_off_again() -> None:
    bench = await a_bench(autoscaling=None, replicas=3)
    await edit(bench, autoscaling=WISH)
    assert replicas(bench) == 3
    assert bench.place(HPA) in bench.cluster.objects
    await edit(bench, autoscaling=None)
    assert replicas(bench) == 3
    assert bench.place(HPA) not in bench.cluster.objects
    assert "autoscaling" not in bench.model()["status"]
    assert "AutoscalingActive" not in {each["type"] for each in bench.model()["status"]["conditions"]}


@pytest.mark.parametrize(
    ("before", "after", "kinds"),
    [
        ("hpa", "keda", {"ScaledObject"}),
        ("keda", "hpa", {HPA}),
        ("hpa", "none", set()),
        ("none", "hpa", {HPA}),
    ],
)
async def test_another_backend_leaves_nothing_of_the_one_before(before: str, after: str, kinds: set[str]) -> None:
    bench = await a_bench({"autoscaling": {"backend": before}})
    bench.settings = bench.settings.model_copy(
        update={"autoscaling": bench.settings.autoscaling.model_copy(update={"backend": after})}
    )
    bench.restart()
    await bench.reconcile()
    assert {place.kind for place in bench.cluster.objects if place.kind in (HPA, "ScaledObject")} == kinds


async def test_what_keda_makes_of_ours_is_not_ours_to_remove() -> None:
    bench = await a_bench(KEDA)
    theirs = made_by_keda(bench)
    await bench.reconcile()
    assert theirs in bench.cluster.objects.values()
    assert ("list", HPA) not in {(verb, place.kind) for verb, place in bench.cluster.reads}, "nor is it looked for"


def made_by_keda(bench: Bench) -> Manifest:
    """KEDA copies labels and annotations of a ScaledObject to its HorizontalPodAutoscaler."""
    source = bench.cluster.objects[bench.place("ScaledObject")]["metadata"]
    owner = {"kind": "ScaledObject", "name": source["name"], "uid": source["uid"], "controller": True}
    copied = {key: source[key] for key in ("namespace", "labels", "annotations")}
    hpa = {"metadata": {**copied, "name": "keda-hpa-hbb-expert", "ownerReferences": [owner]}}
    place = bench.place("ScaledObject")
    bench.cluster.edit(place, lambda thing: thing.update(status={"hpaName": "keda-hpa-hbb-expert"}))
    bench.cluster.put(HPA, hpa)
    return next(thing for thing in bench.cluster.objects.values() if thing["metadata"]["name"] == "keda-hpa-hbb-expert")


async def test_status_reads_kedas_own_autoscaler() -> None:
    bench = await a_bench(KEDA)
    made_by_keda(bench)
    status = {
        "conditions": [{"type": "ScalingActive", "status": "True"}],
        "currentMetrics": [
            {
                "type": "External",
                "external": {"metric": {"name": "s0-metric-api-value"}, "current": {"value": "1500m"}},
            }
        ],
    }
    place = bench.place(HPA)._replace(name="keda-hpa-hbb-expert")
    bench.cluster.edit(place, lambda hpa: hpa.update(status=status))
    await bench.reconcile()
    assert bench.condition("AutoscalingActive") == ("True", "Scaling")
    [metric] = bench.model()["status"]["autoscaling"]["metrics"]
    assert (metric["type"], metric["value"]) == ("QueueDepth", 1.5)


async def test_without_kedas_definition_nothing_is_tried_and_the_condition_names_it() -> None:
    kinds = tuple(kind for kind in KINDS if kind != SCALED_OBJECT)
    bench = Bench(KEDA, kinds, autoscaling=WISH)
    await bench.reconcile()
    bench.a_ready_pod()
    await bench.reconcile()
    assert bench.condition("AutoscalingActive") == ("False", "AutoscalerMissing")
    assert bench.condition() == ("True", "Serving"), "it serves all the same"


@pytest.mark.parametrize(("least", "becomes"), [(1, 1), (2, 2), (0, 0)])
async def test_no_pod_at_all_is_lifted_where_there_must_be_one(least: int, becomes: int) -> None:
    """A HorizontalPodAutoscaler does nothing for a Deployment of no pods: the model would stay stopped."""
    bench = await a_bench(autoscaling=None, replicas=0)
    await edit(bench, autoscaling={**WISH, "minReplicas": least})
    await bench.reconcile()
    assert replicas(bench) == becomes


async def test_a_lift_that_somebody_was_faster_with_is_looked_at_again() -> None:
    bench = await a_bench(autoscaling=None, replicas=0)
    bench.cluster.objects[bench.place("ScientificModel")]["spec"]["autoscaling"] = WISH
    scale = bench.cluster.scale

    async def beaten(deployment: Manifest, number: int) -> None:
        bench.cluster.scaled_by("an-autoscaler", bench.place("Deployment"), 3)
        await scale(deployment, number)

    bench.cluster.scale = beaten  # type: ignore[method-assign]
    with pytest.raises(NotYet):
        await edit(bench)
    assert replicas(bench) == 3


async def test_values_that_move_are_written_once_a_minute_and_the_last_one_is_not_lost() -> None:
    bench = await a_bench()
    for second, value in enumerate(["1", "1100m", "1200m", "1300m"]):
        bench.now = NOW + timedelta(seconds=15 * second)
        sees(bench, value)
        await bench.reconcile()
    written = [place.kind for verb, place in bench.cluster.writes if verb == "status"]
    assert len(written) == 1, "the condition, with the first value"
    assert bench.again == [60.0] * 3
    bench.now = NOW + timedelta(seconds=61)
    await bench.reconcile()
    [metric] = bench.model()["status"]["autoscaling"]["metrics"]
    assert (metric["value"], metric["lastSeen"]) == (1.3, "2026-11-24T12:01:01Z")


async def test_an_autoscaled_model_at_rest_is_not_written_about() -> None:
    bench = await a_bench()
    sees(bench, "1")
    await bench.reconcile()
    bench.cluster.writes.clear()
    for hour in range(3):
        bench.now = NOW + timedelta(hours=hour)
        await bench.reconcile()
    assert bench.cluster.writes == []


async def test_a_decision_is_an_event_in_the_same_words() -> None:
    bench = await a_bench()
    sees(bench, "7200m")
    await bench.reconcile()
    bench.cluster.scaled_by("an-autoscaler", bench.place("Deployment"), 4)
    await bench.reconcile()
    told = [(each["reason"], each["note"]) for each in bench.cluster.events if each["reason"] == "Scaled"]
    assert told == [("Scaled", "1 → 4: QueueDepth 7.2 per replica, target 2")]
    assert bench.model()["status"]["autoscaling"]["lastDecision"] == told[0][1]
