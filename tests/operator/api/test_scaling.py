"""What a model may ask of an autoscaler, and what it gets when it says little."""

from typing import Any, get_args

import pytest

from forge_operator.api.scaling import DEFAULT_IDLE_SECONDS, METRICS, Autoscaling, MetricType
from forge_operator.errors import InvalidSpec
from tests.support.models import a_model


def asked(**wish: Any) -> Autoscaling:
    found = a_model(autoscaling={"maxReplicas": 5, **wish}).spec.autoscaling
    assert found is not None
    return found


def test_every_type_has_a_metric_of_its_own() -> None:
    assert set(METRICS) == set(get_args(MetricType))
    assert len({kind.name for kind in METRICS.values()}) == len(METRICS)
    assert all(kind.name.startswith("forge_") for kind in METRICS.values())


def test_with_bounds_alone_the_load_of_a_replica_decides() -> None:
    [metric] = asked().chosen(max_concurrency=32)
    assert (metric.type, metric.target) == ("InFlight", 22.4)
    assert asked().chosen(max_concurrency=1)[0].target == 1, "less than one prompt would keep every replica busy"


def test_metrics_come_in_one_order_however_they_are_written() -> None:
    metrics = [{"type": "GPUMemory", "target": 80}, {"type": "QueueDepth", "target": 2}]
    assert [metric.type for metric in asked(metrics=metrics).chosen(32)] == ["QueueDepth", "GPUMemory"]


def test_only_a_model_that_may_be_at_zero_has_an_idle_time() -> None:
    assert asked().idle_after is None
    assert asked(minReplicas=0).idle_after == DEFAULT_IDLE_SECONDS
    assert asked(minReplicas=0, idleSeconds=30).idle_after == 30


@pytest.mark.parametrize(
    ("wish", "field"),
    [
        ({"minReplicas": 6}, "minReplicas must not be greater"),
        ({"idleSeconds": 60}, "idleSeconds .* needs minReplicas: 0"),
        ({"maxReplicas": 0}, r"\.maxReplicas"),
        ({"maxReplicas": 101}, r"\.maxReplicas"),
        ({"metrics": []}, r"\.metrics"),
        ({"metrics": [{"type": "CPU", "target": 1}]}, r"metrics\.0\.type"),
        ({"metrics": [{"type": "InFlight", "target": 0}]}, r"metrics\.0\.target"),
        ({"metrics": [{"type": "InFlight"}]}, r"metrics\.0\.target"),
        ({"metrics": [{"type": "GPUMemory", "target": 101}]}, "percentages"),
        ({"metrics": [{"type": "InFlight", "target": n} for n in (1, 2)]}, "each type may stand there once"),
        ({"scaleDownDelaySeconds": 3601}, r"\.scaleDownDelaySeconds"),
    ],
)
def test_what_contradicts_itself_is_refused_by_name(wish: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidSpec, match=rf"^spec\.autoscaling.*{field}"):
        asked(**wish)


@pytest.mark.parametrize(
    ("kind", "ceiling", "field"),
    [
        ("QueueDepth", 8, "serving.maxQueue"),
        ("InFlight", 12, "serving.maxConcurrency and serving.maxQueue"),
        ("LatencyP95", 30, "serving.requestTimeoutSeconds"),
        ("TimeToFirstTokenP95", 30, "serving.requestTimeoutSeconds"),
    ],
)
def test_a_target_that_is_never_reached_is_refused_with_the_limit_that_forbids_it(
    kind: str, ceiling: int, field: str
) -> None:
    serving = {"maxConcurrency": 4, "maxQueue": 8, "requestTimeoutSeconds": 30}

    def ask(target: float) -> None:
        a_model(serving=serving, autoscaling={"maxReplicas": 2, "metrics": [{"type": kind, "target": target}]})

    ask(ceiling - 0.5)
    with pytest.raises(InvalidSpec, match=f"{kind}.* less than {field}"):
        ask(ceiling)
