"""The metrics server's part of the chart: when it is there, what it may, and what it leaves alone."""

from functools import cache

import pytest
import yaml

from forge_operator.children import access
from forge_operator.children.shape import ADMIN_PORT
from forge_operator.metrics_api import documents
from forge_operator.settings import Settings
from tests.support.kube import Manifest
from tests.support.models import a_model, some_settings
from tests.support.operators import CHART, component, rendered

HPA, KEDA, PROMETHEUS, NONE = "default", "keda", "everything", "no-autoscaling"


@cache
def objects(name: str) -> list[Manifest]:
    """All that belongs to the metrics server."""
    things = rendered("forge-system", file=CHART / "ci" / f"{name}-values.yaml")
    return [
        thing
        for thing in things
        if thing["metadata"].get("labels", {}).get("app.kubernetes.io/component") == "metrics-api"
    ]


def kinds(name: str) -> set[str]:
    return {thing["kind"] for thing in objects(name)}


def one(kind: str, name: str = HPA) -> Manifest:
    [found] = [thing for thing in objects(name) if thing["kind"] == kind]
    return found


def granted(name: str) -> set[tuple[str, str, str, str]]:
    """Kind of role, namespace, resource, verb."""
    return {
        (thing["kind"], thing["metadata"].get("namespace", ""), resource, verb)
        for thing in objects(name)
        if thing["kind"] in ("Role", "ClusterRole")
        for rule in thing["rules"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def test_kubernetes_own_autoscaler_has_it_registered() -> None:
    services = [thing for thing in objects(HPA) if thing["kind"] == "APIService"]
    assert {thing["metadata"]["name"] for thing in services} == set(documents.API_SERVICES)
    [port] = [port for port in one("Service")["spec"]["ports"] if port["name"] == "api"]
    for thing in services:
        assert thing["spec"]["service"] == {
            "name": one("Service")["metadata"]["name"],
            "namespace": "forge-system",
            "port": port["port"],
        }
        assert "caBundle" not in thing["spec"], "the server writes it, and an upgrade must not take it back"
        assert not thing["spec"].get("insecureSkipTLSVerify")
    by_version = {thing["spec"]["version"]: thing["spec"]["versionPriority"] for thing in services}
    assert sorted(by_version, key=lambda version: -by_version[version]) == list(documents.VERSIONS)


def test_keda_without_prometheus_has_it_unregistered() -> None:
    assert not kinds(KEDA) & {"APIService", "Secret"}
    assert [port["name"] for port in one("Service", KEDA)["spec"]["ports"]] == ["plain"]
    [container] = one("Deployment", KEDA)["spec"]["template"]["spec"]["containers"]
    assert [port["name"] for port in container["ports"]] == ["plain"]


@pytest.mark.parametrize("name", [PROMETHEUS, NONE])
def test_where_nobody_asks_it_there_is_none(name: str) -> None:
    assert objects(name) == []


def test_it_may_read_pods_and_keep_its_own_certificate() -> None:
    assert granted(HPA) == {
        ("ClusterRole", "", "pods", "list"),
        ("ClusterRole", "", "pods", "watch"),
        ("ClusterRole", "", "subjectaccessreviews", "create"),
        ("ClusterRole", "", "apiservices", "get"),
        ("ClusterRole", "", "apiservices", "patch"),
        ("Role", "forge-system", "secrets", "get"),
        ("Role", "forge-system", "secrets", "patch"),
    }
    [role] = [thing for thing in objects(HPA) if thing["kind"] == "ClusterRole"]
    [rule] = [rule for rule in role["rules"] if "apiservices" in rule["resources"]]
    assert set(rule["resourceNames"]) == set(documents.API_SERVICES)
    borrowed = {
        (thing["metadata"]["namespace"], thing["roleRef"]["name"])
        for thing in objects(HPA)
        if thing["kind"] == "RoleBinding"
    }
    assert ("kube-system", "extension-apiserver-authentication-reader") in borrowed


def test_with_namespaces_it_reads_pods_there_alone() -> None:
    assert granted("watch-namespaces") & {("ClusterRole", "", "pods", "list")} == set()
    assert {("Role", name, "pods", "watch") for name in ("lab-a", "lab-b")} <= granted("watch-namespaces")
    assert granted(KEDA) == {
        ("Role", "lab-a", "pods", "list"),
        ("Role", "lab-a", "pods", "watch"),
        ("Role", "lab-a", "pods/proxy", "get"),
    }


def test_two_of_them_are_not_drained_at_once() -> None:
    assert "PodDisruptionBudget" not in kinds(HPA)
    assert one("PodDisruptionBudget", "high-availability")["spec"]["maxUnavailable"] == 1
    assert one("Deployment", "high-availability")["spec"]["replicas"] == 2


def test_it_listens_where_its_service_and_its_probes_ask() -> None:
    [container] = one("Deployment")["spec"]["template"]["spec"]["containers"]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert ports == {"api": 6443, "plain": 8080}
    assert container["command"][1:] == ["-m", "forge_operator.metrics_api"]
    words = container["args"]
    service = words[words.index("--service") + 1]
    assert service == one("Service")["metadata"]["name"]
    assert one("Secret")["metadata"]["name"] == f"{service}-tls"
    assert {port["targetPort"] for port in one("Service")["spec"]["ports"]} == set(ports)
    assert {each["port"] for each in one("NetworkPolicy")["spec"]["ingress"][0]["ports"]} == set(ports)


def test_keda_is_told_where_it_is() -> None:
    [config] = [
        thing["data"]["config.yaml"]
        for thing in rendered("forge-system", file=CHART / "ci" / "keda-values.yaml")
        if thing["kind"] == "ConfigMap"
    ]
    settings = Settings.model_validate(
        {key: value for key, value in yaml.safe_load(config).items() if key in ("image", "autoscaling")}
        | {"defaultProfile": "cpu", "profiles": {"cpu": {}}}
    )
    name = one("Service", KEDA)["metadata"]["name"]
    assert settings.autoscaling.metrics_address == f"http://{name}.forge-system.svc.cluster.local"
    [port] = one("Service", KEDA)["spec"]["ports"]
    assert port["port"] == 80


def test_model_pods_admit_it_to_their_metrics() -> None:
    policy = access.network_policy(a_model(), some_settings(operatorNamespace="forge-system"))
    admitted = [
        rule for rule in policy["spec"]["ingress"] if rule["ports"] == [{"port": ADMIN_PORT, "protocol": "TCP"}]
    ]
    [rule] = admitted
    assert {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "forge-system"}}} in rule["from"]


def test_prometheus_finds_its_own_figures() -> None:
    things = rendered("forge-system", "metrics.serviceMonitor.enabled=true", monitored=True)
    [monitor] = [thing for thing in things if thing["kind"] == "ServiceMonitor" and component(thing) == "metrics-api"]
    service = one("Service")
    assert monitor["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    assert {end["port"] for end in monitor["spec"]["endpoints"]} <= {port["name"] for port in service["spec"]["ports"]}
