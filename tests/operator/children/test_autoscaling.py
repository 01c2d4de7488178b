"""What is made for a model that asks to be scaled, for each backend."""

import re
from functools import cache
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml
from jsonschema import Draft202012Validator

from forge_operator.api.v1alpha1 import Manifest
from forge_operator.children import desired
from forge_operator.settings import Settings
from tests.chart.test_monitoring import exported
from tests.golden import ROOT, matches_golden
from tests.harness import schemas
from tests.harness.steps import run
from tests.harness.toolchain import program
from tests.support.models import a_model, some_settings

ALL = [
    {"type": "QueueDepth", "target": 2},
    {"type": "InFlight", "target": 22.4},
    {"type": "LatencyP95", "target": 0.75},
    {"type": "TimeToFirstTokenP95", "target": 1},
    {"type": "GPUUtilization", "target": 80},
    {"type": "GPUMemory", "target": 90},
]
OUR_SERVER = {"backend": "keda", "metricsAddress": "http://forge-metrics-api.ops.svc"}
PROMETHEUS = {**OUR_SERVER, "prometheusAddress": "http://prometheus.monitoring.svc:9090"}


def settings(**autoscaling: Any) -> Settings:
    return some_settings(autoscaling=autoscaling)


def of_kind(kind: str, chosen: Settings, **wish: Any) -> Manifest | None:
    model = a_model(replicas=4, autoscaling={"maxReplicas": 5, **wish})
    return next((child for child in desired(model, chosen) if child["kind"] == kind), None)


def the(kind: str, chosen: Settings, **wish: Any) -> Manifest:
    found = of_kind(kind, chosen, **wish)
    assert found, kind
    return found


@pytest.mark.parametrize(
    ("case", "autoscaling", "wish"),
    [
        ("hpa", {}, {"minReplicas": 2, "metrics": ALL, "scaleUpDelaySeconds": 30}),
        ("keda-prometheus", PROMETHEUS, {"minReplicas": 0, "idleSeconds": 120, "metrics": ALL}),
        ("keda", OUR_SERVER, {}),
    ],
)
def test_the_autoscaler_is_that_of_the_reviewed_file(case: str, autoscaling: Any, wish: Any) -> None:
    kind = "ScaledObject" if "keda" in case else "HorizontalPodAutoscaler"
    text = yaml.safe_dump(the(kind, settings(**autoscaling), **wish), sort_keys=False, width=110)
    assert matches_golden(ROOT / f"tests/golden/autoscaler-{case}.yaml", text), "REFRESH_GOLDEN=1 rewrites it"


@pytest.mark.parametrize("backend", ["hpa", "keda"])
def test_a_scaled_deployment_never_carries_replicas(backend: str) -> None:
    assert "replicas" not in the("Deployment", settings(backend=backend))["spec"]


def test_where_nobody_scales_the_number_is_that_of_the_spec() -> None:
    off = settings(backend="none")
    assert the("Deployment", off)["spec"]["replicas"] == 4
    assert of_kind("HorizontalPodAutoscaler", off) is None
    assert of_kind("ScaledObject", off) is None


@pytest.mark.parametrize(("backend", "kind"), [("hpa", "HorizontalPodAutoscaler"), ("keda", "ScaledObject")])
def test_there_is_one_autoscaler_and_it_names_the_deployment(backend: str, kind: str) -> None:
    chosen = settings(backend=backend)
    model = a_model(name="7b.lab", autoscaling={"maxReplicas": 2})
    kinds = [child["kind"] for child in desired(model, chosen)]
    assert [name for name in kinds if name in ("HorizontalPodAutoscaler", "ScaledObject")] == [kind]
    by_kind = {child["kind"]: child for child in desired(model, chosen)}
    assert by_kind[kind]["spec"]["scaleTargetRef"]["name"] == by_kind["Deployment"]["metadata"]["name"]


def test_turning_autoscaling_on_restarts_no_pod() -> None:
    def template(**spec: Any) -> Manifest:
        children = desired(a_model(**spec), some_settings())
        return dict(next(child for child in children if child["kind"] == "Deployment")["spec"]["template"])

    assert template() == template(autoscaling={"maxReplicas": 9})


def test_a_horizontal_pod_autoscaler_is_never_asked_for_zero() -> None:
    assert the("HorizontalPodAutoscaler", settings(), minReplicas=0)["spec"]["minReplicas"] == 1
    assert the("ScaledObject", settings(backend="keda"), minReplicas=0)["spec"]["minReplicaCount"] == 0


@pytest.mark.parametrize(("most", "has"), [(1, False), (2, True)])
def test_a_budget_is_there_when_there_may_be_more_than_one_pod(most: int, has: bool) -> None:
    assert (of_kind("PodDisruptionBudget", settings(), maxReplicas=most) is not None) is has


@pytest.mark.parametrize("target", [0.001, 0.5, 1, 22.4, 1000, 9999.999])
def test_a_target_is_spelt_as_the_api_server_stores_it(target: float) -> None:
    metrics = [{"type": "InFlight", "target": target}]
    model = a_model(serving={"maxQueue": 10_000}, autoscaling={"maxReplicas": 5, "metrics": metrics})
    [hpa] = [child for child in desired(model, settings()) if child["kind"] == "HorizontalPodAutoscaler"]
    [metric] = hpa["spec"]["metrics"]
    written = metric["pods"]["target"]["averageValue"]
    assert re.fullmatch(r"[1-9]\d*[mk]?", written)
    scale = {"m": 0.001, "k": 1000.0}.get(written[-1], 1.0)
    assert float(written.rstrip("mk")) * scale == pytest.approx(target)


@cache
def _keda_schema() -> dict[str, Any]:
    [version] = [v for v in schemas.keda()["spec"]["versions"] if v["name"] == "v1alpha1"]
    return dict(closed(version["schema"]["openAPIV3Schema"]))


def closed(part: Any) -> Any:
    """The API server would drop what the schema does not name: here that is a fault."""
    if isinstance(part, list):
        return [closed(each) for each in part]
    if not isinstance(part, dict):
        return part
    found = {key: closed(value) for key, value in part.items()}
    if "properties" in found and "additionalProperties" not in found:
        found["additionalProperties"] = False
    return found


@pytest.mark.parametrize("autoscaling", [OUR_SERVER, PROMETHEUS])
@pytest.mark.parametrize("wish", [{}, {"minReplicas": 0, "metrics": ALL}])
def test_keda_knows_every_field_of_the_scaled_object(autoscaling: dict[str, str], wish: dict[str, Any]) -> None:
    manifest = the("ScaledObject", settings(**autoscaling), **wish)
    whole = {**_keda_schema()}
    whole["properties"] = {**whole["properties"], "metadata": {"type": "object"}}
    assert [error.message for error in Draft202012Validator(whole).iter_errors(manifest)] == []
    wrong = {**manifest, "spec": {**manifest["spec"], "minReplicas": 1}}
    assert list(Draft202012Validator(whole).iter_errors(wrong)) != []


def test_kubernetes_knows_every_field_of_the_horizontal_pod_autoscaler(tmp_path: Path) -> None:
    path = tmp_path / "hpa.yaml"
    path.write_text(yaml.safe_dump(the("HorizontalPodAutoscaler", settings(), metrics=ALL)))
    where = f"{schemas.folder()}/{schemas.TEMPLATE}"
    assert run([program("kubeconform"), "-strict", "-schema-location", where, path]) == ""


def _triggers(autoscaling: dict[str, str], **wish: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = the("ScaledObject", settings(**autoscaling), **wish)["spec"]["triggers"]
    return found


def test_prometheus_is_asked_for_series_that_pods_export() -> None:
    queries = [each["metadata"]["query"] for each in _triggers(PROMETHEUS, minReplicas=0, metrics=ALL)]
    assert len(set(queries)) == len(ALL) + 1
    for query in queries:
        promql_parser.parse(query)
        assert "PODS" not in query
        assert set(re.findall(r"forge_[a-z0-9_]+", query)) <= exported()
        assert query.count("namespace='lab',scientificmodel='hbb-expert'") == len(re.findall(r"forge_\w+\{", query))


@pytest.mark.parametrize("autoscaling", [OUR_SERVER, PROMETHEUS])
def test_a_value_that_cannot_be_read_is_an_error_and_never_a_zero(autoscaling: dict[str, str]) -> None:
    spec = the("ScaledObject", settings(**autoscaling))["spec"]
    assert "fallback" not in spec
    assert all(t["metadata"].get("ignoreNullValues", "false") == "false" for t in spec["triggers"])


@pytest.mark.parametrize("autoscaling", [OUR_SERVER, PROMETHEUS])
def test_of_a_model_that_may_rest_one_trigger_alone_says_that_it_is_in_use(autoscaling: dict[str, str]) -> None:
    """A GPU's memory is never 0: as a sign of life it would keep every model up for ever."""
    assert len(_triggers(autoscaling, metrics=ALL)) == len(ALL)
    triggers = _triggers(autoscaling, minReplicas=0, metrics=ALL)
    key = "activationThreshold" if autoscaling is PROMETHEUS else "activationTargetValue"
    assert [each["name"] for each in triggers if each["metadata"][key] == "0"] == ["Activity"]
    assert len({each["name"] for each in triggers}) == len(ALL) + 1
