"""What is read of a pod's text: what is there, and nothing of what makes no sense."""

import math
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Histogram, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from forge_operator.metrics_api.exposition import GENERATION, momentary, read
from tests.support.expositions import Exposition


def test_prompts_and_gpus_are_read() -> None:
    pod = Exposition(waiting=3, running=2, gpus=((40, 6e9, 8e9), (60, 2e9, 8e9)))
    assert momentary(read(pod.text)) == {
        "forge_queue_depth": 3,
        "forge_in_flight": 5,
        "forge_gpu_utilization_percent": 50,
        "forge_gpu_memory_percent": 50,
    }


def test_without_a_gpu_nothing_is_said_of_one() -> None:
    assert set(momentary(read(Exposition().text))) == {"forge_queue_depth", "forge_in_flight"}


@pytest.mark.parametrize("value", ["NaN", "-1", "+Inf", "-Inf", "many", "1e300", ""])
def test_a_number_that_makes_no_sense_is_no_sample(value: str) -> None:
    text = f"forge_requests_waiting {value}\nforge_requests_running 1\n"
    assert momentary(read(text)) == {}


def test_what_can_still_be_told_is_told() -> None:
    text = "forge_requests_waiting 4\nforge_requests_running NaN\nforge_gpu_memory_used_bytes 1\n"
    assert momentary(read(text)) == {"forge_queue_depth": 4}
    assert momentary(read("forge_gpu_memory_used_bytes 1\nforge_gpu_memory_total_bytes 0\n")) == {}


def test_names_that_only_begin_alike_are_others() -> None:
    assert momentary(read("forge_requests_waiting_long 4\nmy_forge_requests_waiting 4\nforge_requests_running 1")) == {}


@pytest.mark.parametrize("times", [0, 1, 500])
def test_a_histogram_is_read_as_prometheus_own_parser_reads_it(times: int) -> None:
    registry = CollectorRegistry()
    histogram = Histogram(GENERATION, "Seconds.", registry=registry)
    chance = Random(times)
    for _ in range(times):
        histogram.observe(chance.expovariate(0.3))
    text = generate_latest(registry).decode()
    samples = [
        sample
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == f"{GENERATION}_bucket"
    ]
    found = read(text).histograms[GENERATION]
    assert found.usable
    assert found.bounds == tuple(float(sample.labels["le"]) for sample in samples)
    assert found.counts == tuple(sample.value for sample in samples)


def _buckets(*pairs: tuple[str, str]) -> bool:
    text = "".join(f'{GENERATION}_bucket{{le="{bound}"}} {count}\n' for bound, count in pairs)
    return read(text).histograms[GENERATION].usable


def test_a_histogram_that_contradicts_itself_is_not_used() -> None:
    assert _buckets(("1", "2"), ("+Inf", "3"))
    assert not _buckets(("1", "4"), ("+Inf", "3")), "more below a second than in all"
    assert not _buckets(("1", "NaN"), ("+Inf", "3"))
    assert not _buckets(("1", "-1"), ("+Inf", "3"))
    assert not _buckets(("1", "2"), ("2", "3")), "nobody knows how many there are in all"
    assert not _buckets(("+Inf", "3"))
    assert not _buckets(("one", "2"), ("+Inf", "3"))


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.text(max_size=300), st.sampled_from(["forge_requests_waiting", f'{GENERATION}_bucket{{le="1"}}', ""]))
def test_whatever_a_pod_says_is_survived(noise: str, begin: str) -> None:
    for value in momentary(read(f"{begin} {noise}\n{noise}")).values():
        assert math.isfinite(value)
        assert value >= 0
