"""The chart against the real API server: everything it renders is accepted, and its permissions are enough."""

from pathlib import Path

import pytest
import yaml

from tests.controlplane.lab import Lab
from tests.harness import toolchain
from tests.support import operators
from tests.support.kube import MONITORING, AuditLog, Kube, Manifest
from tests.support.operators import CHART, Installed, rendered, running
from tests.support.pods import AdminPort
from tests.support.waiting import until

pytestmark = pytest.mark.controlplane

VALUES = sorted((CHART / "ci").glob("*-values.yaml"))


@pytest.fixture(scope="module")
def monitoring(kube: Kube) -> None:
    """The Prometheus operator's own definitions of what the chart makes."""
    source = toolchain.source_of("github.com/prometheus-operator/prometheus-operator", "monitoring")
    for kind in MONITORING:
        path = source / "example/prometheus-operator-crd" / f"monitoring.coreos.com_{kind.lower()}s.yaml"
        kube.apply(yaml.safe_load(path.read_text()))
        kube.ctl("wait", "--for=condition=Established", "--timeout=90s", f"crd/{kind.lower()}s.monitoring.coreos.com")


@pytest.mark.parametrize("values", [None, *VALUES], ids=lambda path: path.stem if path else "no values")
def test_everything_the_chart_renders_is_accepted(
    kube: Kube, installed: Installed, monitoring: None, values: Path | None
) -> None:
    manifests = rendered("forge-system", file=values, monitored=True)
    assert {"Deployment", "ServiceAccount", "ConfigMap"} <= {manifest["kind"] for manifest in manifests}
    kube.warnings.clear()
    for manifest in manifests:
        _home(kube, manifest)
        kube.apply(manifest, manager="helm", dryRun="All")
    assert kube.warnings == []


def _home(kube: Kube, manifest: Manifest) -> None:
    """A namespace that refuses what is not restricted; a dry run needs it to exist."""
    name = manifest["metadata"].get("namespace")
    if name and not kube.find("Namespace", name):
        labels = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn")}
        kube.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})
        # The controller manager makes it, and pods are refused until then.
        until(lambda: kube.find("ServiceAccount", "default", name), limit=90, what="the service account `default`")


def test_the_charts_definition_is_the_one_in_crds(installed: Installed) -> None:
    plain = yaml.safe_load((CHART.parents[1] / "crds" / "scientificmodels.serving.scientificllm.io.yaml").read_text())
    [chart] = [m for m in rendered("forge-system") if m["kind"] == "CustomResourceDefinition"]
    assert chart["spec"] == plain["spec"]
    assert chart["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"


def test_the_charts_permissions_are_enough_and_never_exceeded(
    lab: Lab, installed: Installed, admin: AdminPort, audit: AuditLog, folder: Path
) -> None:
    with running(installed, folder) as operator:
        lab.create(replicas=2)
        lab.settled()
        lab.kube.delete("Service", "hbb", lab.namespace)
        lab.edit(replicas=1)
        lab.eventually(lambda: lab.child("PodDisruptionBudget") is None and lab.child("Service"), "repair and prune")
        lab.settled()
    assert [write for write in audit.writes(installed.user) if write.code == 403] == []
    assert [line for line in operator.lines() if "orbidden" in str(line)] == []


# (verb, path, whether the operator may): what least privilege means, asked of the server itself.
RIGHTS = [
    ("list", "", "secrets", False),
    ("get", "", "secrets", False),
    ("watch", "", "secrets", False),
    ("get", "", "configmaps", False),
    ("create", "", "pods", False),
    ("create", "", "pods/exec", False),
    ("delete", "", "pods", False),
    ("get", "", "pods/log", False),
    ("create", "rbac.authorization.k8s.io", "clusterrolebindings", False),
    ("escalate", "rbac.authorization.k8s.io", "clusterroles", False),
    ("delete", "serving.scientificllm.io", "scientificmodels", False),
    ("patch", "serving.scientificllm.io", "scientificmodels", False),
    ("patch", "apiextensions.k8s.io", "customresourcedefinitions", False),
    ("patch", "serving.scientificllm.io", "scientificmodels/status", True),
    ("watch", "", "pods", True),
    ("patch", "apps", "deployments", True),
]


@pytest.mark.parametrize(("verb", "group", "resource", "may"), RIGHTS, ids=[f"{v} {g}/{r}" for v, g, r, _ in RIGHTS])
def test_the_operator_may_do_its_work_and_nothing_else(
    kube: Kube, installed: Installed, verb: str, group: str, resource: str, may: bool
) -> None:
    assert _allowed(kube, installed, "lab", verb, group, resource) is may


def _allowed(kube: Kube, who: Installed, namespace: str, verb: str, group: str, resource: str) -> bool:
    kind, _, part = resource.partition("/")
    what = {"namespace": namespace, "verb": verb, "group": group, "resource": kind, "subresource": part}
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {"user": who.user, "groups": ["system:authenticated"], "resourceAttributes": what},
    }
    answer = kube.request("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", review)
    return bool(answer.json()["status"]["allowed"])


def test_an_operator_of_some_namespaces_serves_these_and_may_not_touch_others(
    kube: Kube, lab: Lab, admin: AdminPort, audit: AuditLog, folder: Path, installed: Installed
) -> None:
    with Lab.created(kube) as watched, Lab.created(kube) as too:
        both = f"{{{watched.namespace},{too.namespace}}}"
        narrow = operators.install(kube, folder, "forge-narrow", f"watchNamespaces={both}", "crds.install=false")
        assert _allowed(kube, narrow, watched.namespace, "patch", "apps", "deployments")
        assert not _allowed(kube, narrow, lab.namespace, "patch", "apps", "deployments")
        with running(narrow, folder) as operator:
            lab.create("outside")
            watched.create("inside", replicas=2)
            too.create("inside")
            watched.settled("inside")
            too.settled("inside")
        assert lab.model("outside").get("status") is None
        assert audit.writes(narrow.user, lab.namespace) == []
        assert [line for line in operator.lines() if "orbidden" in str(line)] == []
