"""When a sample is one: fresh, of a pod that is ready, about all that was asked."""

from dataclasses import replace

import pytest

from forge_operator.api.scaling import METRICS
from forge_operator.metrics_api.exposition import read
from forge_operator.metrics_api.samples import FRESH_FOR, NAMES, Pod, Samples
from forge_operator.metrics_api.selectors import parse
from tests.support.expositions import Exposition

QUEUE, P95 = "forge_queue_depth", "forge_latency_p95_seconds"


def a_pod(name: str = "hbb-1", **changes: object) -> Pod:
    pod = Pod("lab", name, f"uid-{name}", "127.1.0.1", "hbb", {"model": "hbb"})
    return replace(pod, **changes)  # type: ignore[arg-type]


def said(samples: Samples, pod: Pod, now: float, waiting: float = 0) -> None:
    samples.add(pod, read(Exposition(waiting=waiting).text), now)


def value(samples: Samples, pod: Pod, metric: str, now: float) -> float | None:
    found = samples.of_pod(pod.namespace, pod.name, metric, now)
    return found[1].value if found else None


@pytest.fixture
def samples() -> Samples:
    found = Samples()
    found.put(a_pod())
    return found


def test_every_metric_of_the_table_is_told_of_a_pod_with_a_gpu(samples: Samples) -> None:
    pod = Exposition(waiting=3, running=2, gpus=((40, 6e9, 8e9),))
    assert samples.add(a_pod(), read(pod.text), 0) == len(METRICS)
    assert {name: value(samples, a_pod(), name, 0) for name in NAMES} == {
        "forge_queue_depth": 3,
        "forge_in_flight": 5,
        "forge_latency_p95_seconds": 0,
        "forge_time_to_first_token_p95_seconds": 0,
        "forge_gpu_utilization_percent": 40,
        "forge_gpu_memory_percent": 75,
    }


def test_a_percentile_tells_its_window(samples: Samples) -> None:
    pod = Exposition()
    samples.add(a_pod(), read(pod.text), 0)
    pod.took(0.3, times=100)
    samples.add(a_pod(), read(pod.text), 20)
    _, sample = samples.of_pod("lab", "hbb-1", P95, 20) or (None, None)
    assert sample
    assert (sample.value, sample.window) == (pytest.approx(0.48), 80)
    assert value(samples, a_pod(), "forge_time_to_first_token_p95_seconds", 20) == pytest.approx(0.095)


def test_a_sample_is_one_for_half_a_minute(samples: Samples) -> None:
    said(samples, a_pod(), 100, waiting=7)
    assert value(samples, a_pod(), QUEUE, 100 + FRESH_FOR) == 7
    assert value(samples, a_pod(), QUEUE, 100 + FRESH_FOR + 0.1) is None
    assert samples.fresh(QUEUE, 100) == 1
    assert samples.fresh(QUEUE, 131) == 0


def test_what_a_pod_does_not_know_any_more_is_dropped_at_once(samples: Samples) -> None:
    said(samples, a_pod(), 100, waiting=7)
    samples.add(a_pod(), read(Exposition(waiting=float("nan")).text), 105)
    assert value(samples, a_pod(), QUEUE, 105) is None


def test_a_pod_that_is_not_ready_has_no_sample(samples: Samples) -> None:
    said(samples, a_pod(), 100)
    samples.forget("lab", "hbb-1")
    assert value(samples, a_pod(), QUEUE, 100) is None
    said(samples, a_pod(), 101)  # an answer that was on its way
    samples.put(a_pod())
    assert value(samples, a_pod(), QUEUE, 101) is None


def test_a_new_pod_of_the_same_name_begins_anew(samples: Samples) -> None:
    said(samples, a_pod(), 100)
    samples.put(a_pod(uid="another"))
    assert value(samples, a_pod(), QUEUE, 100) is None


def test_a_list_replaces_what_was_known_of_its_namespace_alone(samples: Samples) -> None:
    elsewhere = a_pod(namespace="other")
    samples.put(elsewhere)
    said(samples, a_pod(), 100)
    samples.replace("lab", [a_pod(), a_pod("hbb-2")])
    assert value(samples, a_pod(), QUEUE, 100) == 0, "what is known stays"
    assert {pod.name for pod in samples.pods() if pod.namespace == "lab"} == {"hbb-1", "hbb-2"}
    samples.replace("lab", [])
    assert samples.pods() == [elsewhere]
    samples.replace("", [a_pod()])
    assert samples.pods() == [a_pod()]


def test_pods_are_found_by_their_labels(samples: Samples) -> None:
    other = a_pod("other-1", labels={"model": "other"}, model="other")
    samples.put(other)
    for pod, waiting in ((a_pod(), 1), (other, 2)):
        said(samples, pod, 0, waiting)
    found = samples.of_pods("lab", parse("model=other"), QUEUE, 0)
    assert [(pod.name, sample.value) for pod, sample in found] == [("other-1", 2)]
    assert list(samples.of_pods("elsewhere", parse(""), QUEUE, 0)) == []


def test_a_models_value_is_the_mean_over_its_pods_as_old_as_the_oldest(samples: Samples) -> None:
    second = a_pod("hbb-2")
    samples.put(second)
    said(samples, a_pod(), 90, waiting=2)
    said(samples, second, 95, waiting=4)
    found = samples.of_model("lab", "hbb", QUEUE, 100)
    assert found
    assert (found.mean, found.pods, found.oldest.seen) == (3, 2, 90)


def test_a_model_has_no_value_while_one_pod_has_none(samples: Samples) -> None:
    said(samples, a_pod(), 100, waiting=2)
    assert samples.of_model("lab", "hbb", QUEUE, 100)
    samples.put(a_pod("hbb-2"))
    assert samples.of_model("lab", "hbb", QUEUE, 100) is None
    assert samples.serves("lab", "hbb")
    assert not samples.serves("lab", "nothing")
    assert samples.of_model("lab", "nothing", QUEUE, 100) is None
