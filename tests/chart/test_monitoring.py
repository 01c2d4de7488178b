"""What the chart offers to Prometheus and Grafana, held against what the programs really export."""

import json
import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import promql_parser
import pytest
import yaml

from forge_inference.engine.contract import Load
from forge_inference.telemetry.gpu import Gpu, Gpus
from forge_inference.telemetry.metrics import Metrics as ServerMetrics
from forge_operator.activator.metrics import Metrics as ActivatorMetrics
from forge_operator.control.metrics import Metrics as OperatorMetrics
from forge_operator.metrics_api.metrics import Metrics as MetricsServerMetrics
from tests.harness.errors import HarnessError
from tests.support.kube import MONITORING
from tests.support.operators import CHART, rendered

Manifest = dict[str, Any]
VALUES = CHART / "ci" / "monitoring-values.yaml"
_SERIES = re.compile(r"(?:forge|vllm)[_:][a-z_:]+")


@cache
def objects() -> dict[str, Manifest]:
    """By kind, of a cluster that has the Prometheus operator's definitions."""
    return {thing["kind"]: thing for thing in rendered("forge-system", file=VALUES, monitored=True)}


@cache
def configured() -> dict[str, str]:
    """What all ConfigMaps hold, by key."""
    things = rendered("forge-system", file=VALUES)
    return {key: text for thing in things if thing["kind"] == "ConfigMap" for key, text in thing["data"].items()}


def dashboard() -> Manifest:
    return dict(json.loads(configured()["scientificllm-forge.json"]))


def alerts() -> Iterator[Manifest]:
    for group in objects()["PrometheusRule"]["spec"]["groups"]:
        yield from group["rules"]


def queries() -> Iterator[str]:
    """Every expression of the alerts and the dashboard, with Grafana's variables filled in."""
    for alert in alerts():
        yield alert["expr"]
    for panel in dashboard()["panels"]:
        for target in panel["targets"]:
            yield target["expr"].replace("$__rate_interval", "5m").replace("$namespace", "lab").replace("$model", "hbb")


class _Idle:
    """An engine at rest, and a GPU."""

    name = "hbb"

    def load(self) -> Load:
        return Load(0, 0, 64)

    def loaded(self) -> None:
        return None

    def adapters(self) -> dict[str, Any]:
        return {}


class _OneGpu(Gpus):
    def __init__(self) -> None: ...

    def read(self) -> list[Gpu]:
        return [Gpu(index=0, name="H200", memory_used=1, memory_total=2, utilization=3, temperature=4, power=5)]


@cache
def exported() -> frozenset[str]:
    """The names of all series of all programs."""
    server = ServerMetrics(_Idle(), _OneGpu())  # type: ignore[arg-type]  # what is not asked is not there
    activator, metrics_server = ActivatorMetrics(), MetricsServerMetrics()
    activator.watch(held=float, open=float, models=float, woken=float)
    metrics_server.watch(pods=float, fresh=lambda _: 0.0)
    programs = (server, OperatorMetrics(), activator, metrics_server)
    endings = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count"), "gauge": ("",)}
    return frozenset(
        family.name + ending
        for program in programs
        for family in program.registry.collect()
        for ending in endings[family.type]
    )


def test_every_query_is_promql_over_series_that_exist() -> None:
    found = list(queries())
    assert len(found) >= 25
    for query in found:
        promql_parser.parse(query)
        names = set(_SERIES.findall(query))
        assert names, query
        assert names <= exported(), f"nobody exports {names - exported()}"


def test_what_is_exported_is_looked_at() -> None:
    looked_at = {name for query in queries() for name in _SERIES.findall(query)}
    ours = {name.removesuffix("_bucket") for name in exported() if not name.endswith(("_sum", "_count"))}
    unseen = {name for name in ours if not name.startswith("vllm:")} - {n.removesuffix("_bucket") for n in looked_at}
    # Told by the label of another series, or by Kubernetes itself, or for the operator.
    assert unseen == {"forge_model_info", "forge_uptime_seconds", "forge_operator_writes_total", "forge_idle_seconds"}


def test_each_alert_says_what_to_do() -> None:
    for alert in alerts():
        assert {"summary", "description"} == set(alert["annotations"])
        assert alert["labels"]["severity"] in ("warning", "critical")
        assert alert["for"]


def test_panels_do_not_cover_each_other() -> None:
    places = [panel["gridPos"] for panel in dashboard()["panels"]]
    assert len({(place["x"], place["y"]) for place in places}) == len(places)
    assert len({panel["id"] for panel in dashboard()["panels"]}) == len(places)
    assert dashboard()["uid"] == "scientificllm-forge"


def test_the_pod_monitor_finds_model_pods_and_their_policy_admits_prometheus() -> None:
    monitor = objects()["PodMonitor"]
    assert monitor["metadata"]["labels"]["release"] == "prometheus"
    assert monitor["spec"]["namespaceSelector"] == {"any": True}
    assert yaml.safe_load(configured()["config.yaml"])["metricsNamespaces"] == ["monitoring"]


def test_a_pod_monitor_without_the_namespace_of_prometheus_is_refused() -> None:
    with pytest.raises(HarnessError, match="prometheusNamespaces: name the namespace"):
        rendered("forge-system", "metrics.podMonitor.enabled=true", monitored=True)


def test_the_service_monitor_finds_the_operator() -> None:
    monitor, service = objects()["ServiceMonitor"], objects()["Service"]
    assert monitor["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    assert monitor["spec"]["endpoints"][0]["port"] in {port["name"] for port in service["spec"]["ports"]}


def test_nothing_of_it_is_there_by_default_or_where_the_cluster_lacks_its_kind() -> None:
    ours = set(MONITORING)
    assert not ours & {thing["kind"] for thing in rendered("forge-system", monitored=True)}
    assert not ours & {thing["kind"] for thing in rendered("forge-system", file=VALUES)}
