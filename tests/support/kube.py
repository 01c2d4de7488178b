"""What a person does to a cluster, for tests: plain JSON in and out. And the audit log: who wrote what."""

import json
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
from kubernetes import client, config

from tests.harness.steps import run
from tests.harness.toolchain import program
from tests.support.models import a_body

Manifest = dict[str, Any]

SCIM = "ScientificModel"
MONITORING = ("ServiceMonitor", "PodMonitor", "PrometheusRule")  # of the Prometheus operator
# kind -> where its objects are; the second part is the plural
_PLACES = {
    SCIM: ("apis/serving.scientificllm.io/v1alpha1", "scientificmodels"),
    "CustomResourceDefinition": ("apis/apiextensions.k8s.io/v1", "customresourcedefinitions"),
    "Deployment": ("apis/apps/v1", "deployments"),
    "ReplicaSet": ("apis/apps/v1", "replicasets"),
    "Job": ("apis/batch/v1", "jobs"),
    "NetworkPolicy": ("apis/networking.k8s.io/v1", "networkpolicies"),
    "PodDisruptionBudget": ("apis/policy/v1", "poddisruptionbudgets"),
    "EndpointSlice": ("apis/discovery.k8s.io/v1", "endpointslices"),
    "HorizontalPodAutoscaler": ("apis/autoscaling/v2", "horizontalpodautoscalers"),
    "ScaledObject": ("apis/keda.sh/v1alpha1", "scaledobjects"),
    "APIService": ("apis/apiregistration.k8s.io/v1", "apiservices"),
    "Lease": ("apis/coordination.k8s.io/v1", "leases"),
    "ClusterRole": ("apis/rbac.authorization.k8s.io/v1", "clusterroles"),
    "ClusterRoleBinding": ("apis/rbac.authorization.k8s.io/v1", "clusterrolebindings"),
    "Role": ("apis/rbac.authorization.k8s.io/v1", "roles"),
    "RoleBinding": ("apis/rbac.authorization.k8s.io/v1", "rolebindings"),
    **{kind: ("apis/monitoring.coreos.com/v1", f"{kind.lower()}s") for kind in MONITORING},
    "Namespace": ("api/v1", "namespaces"),
    "Node": ("api/v1", "nodes"),
    "Pod": ("api/v1", "pods"),
    "Service": ("api/v1", "services"),
    "ServiceAccount": ("api/v1", "serviceaccounts"),
    "ConfigMap": ("api/v1", "configmaps"),
    "Secret": ("api/v1", "secrets"),
    "PersistentVolume": ("api/v1", "persistentvolumes"),
    "PersistentVolumeClaim": ("api/v1", "persistentvolumeclaims"),
}
# What a ScientificModel that nobody scales has, in the order in which the operator applies it.
CHILDREN = ("ServiceAccount", "NetworkPolicy", "Service", "Deployment", "PodDisruptionBudget")


class RefusedError(Exception):
    """The API server said no: `code` and, as text, its sentence."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class Kube:
    """A person at the API server. `warnings` gathers what the server warned of."""

    def __init__(self, kubeconfig: Path) -> None:
        self.kubeconfig = kubeconfig
        self.warnings: list[str] = []
        found = client.Configuration()
        config.load_kube_config(str(kubeconfig), client_configuration=found)
        trust = ssl.create_default_context(cafile=found.ssl_ca_cert)
        if found.cert_file:
            trust.load_cert_chain(found.cert_file, found.key_file)
        token = next(iter(found.api_key.values()), None)
        headers = {"Authorization": token} if token else {}
        self._http = httpx.Client(base_url=found.host, verify=trust, headers=headers, timeout=90, trust_env=False)

        # kubectl caches what the server offers by address, and a port may have been another server's before.
        self._cache = TemporaryDirectory()

    def close(self) -> None:
        self._http.close()
        self._cache.cleanup()

    def ctl(self, *words: str, stdin: str | None = None) -> str:
        """What kubectl prints. Raises HarnessError with its words when it fails."""
        command: list[str | Path] = [
            program("kubectl"),
            "--kubeconfig",
            self.kubeconfig,
            "--cache-dir",
            self._cache.name,
        ]
        return run([*command, *words], stdin=stdin.encode() if stdin else None)

    def request(
        self, method: str, path: str, body: object = None, content: str = "application/json", **parameters: str
    ) -> httpx.Response:
        """One call; `content` is the type of the body. Raises RefusedError."""
        data = None if body is None else json.dumps(body)
        headers = {"Content-Type": content}
        answer = self._http.request(method, path, content=data, params=parameters, headers=headers)
        self.warnings += answer.headers.get_list("warning")
        if answer.is_error:
            raise RefusedError(answer.status_code, _sentence(answer))
        return answer

    def get(self, kind: str, name: str, namespace: str | None = None) -> Manifest:
        """Raises RefusedError with code 404 when there is none."""
        return dict(self.request("GET", path_of(kind, name, namespace)).json())

    def find(self, kind: str, name: str, namespace: str | None = None) -> Manifest | None:
        try:
            return self.get(kind, name, namespace)
        except RefusedError as no:
            if no.code == 404:
                return None
            raise

    def list(self, kind: str, namespace: str | None = None, selector: str = "") -> list[Manifest]:
        answer = self.request("GET", path_of(kind, "", namespace), labelSelector=selector)
        return list(answer.json()["items"])

    def create(self, manifest: Manifest, **parameters: str) -> Manifest:
        meta = manifest["metadata"]
        path = path_of(manifest["kind"], "", meta.get("namespace"))
        return dict(self.request("POST", path, manifest, fieldValidation="Strict", **parameters).json())

    def apply(self, manifest: Manifest, manager: str = "a-person", **parameters: str) -> Manifest:
        meta = manifest["metadata"]
        path = path_of(manifest["kind"], meta["name"], meta.get("namespace"))
        rest = {"fieldManager": manager, "force": "true", "fieldValidation": "Strict", **parameters}
        return dict(self.request("PATCH", path, manifest, "application/apply-patch+yaml", **rest).json())

    def patch(
        self, kind: str, name: str, namespace: str, change: Mapping[str, Any], *, strategic: bool = False
    ) -> Manifest:
        """What `kubectl label` sends; `strategic` merges lists by their keys, as `kubectl edit` does."""
        how = "application/strategic-merge-patch+json" if strategic else "application/merge-patch+json"
        return dict(self.request("PATCH", path_of(kind, name, namespace), change, content=how).json())

    def delete(self, kind: str, name: str, namespace: str | None = None) -> None:
        self.request("DELETE", path_of(kind, name, namespace))


@contextmanager
def connected(kubeconfig: Path) -> Iterator[Kube]:
    kube = Kube(kubeconfig)
    try:
        yield kube
    finally:
        kube.close()


def a_manifest(name: str, namespace: str, **spec: Any) -> Manifest:
    """A ScientificModel as a person writes it: `a_body` without what only the API server gives."""
    body = a_body(name=name, namespace=namespace, **spec)
    return {**body, "metadata": {"name": name, "namespace": namespace}}


def claims(kube: Kube, namespace: str, *names: str) -> None:
    """PersistentVolumeClaims and a volume bound to each: pods are not scheduled without."""
    spec = {"accessModes": ["ReadOnlyMany"], "storageClassName": ""}
    for name in names:
        volume = f"{namespace}-{name}"
        home = {"hostPath": {"path": "/srv/models"}, "capacity": {"storage": "1Gi"}}
        reference = {"claimRef": {"namespace": namespace, "name": name}}
        meta = {"name": name, "namespace": namespace}
        wants = {"volumeName": volume, "resources": {"requests": {"storage": "1Gi"}}}
        kube.create(_core("PersistentVolume", {"name": volume}, {**spec, **home, **reference}))
        kube.create(_core("PersistentVolumeClaim", meta, {**spec, **wants}))


def _core(kind: str, metadata: Manifest, spec: Manifest) -> Manifest:
    return {"apiVersion": "v1", "kind": kind, "metadata": metadata, "spec": spec}


def path_of(kind: str, name: str = "", namespace: str | None = None) -> str:
    api, plural = _PLACES[kind]
    parts = ["", api, *(["namespaces", namespace] if namespace else []), plural, *([name] if name else [])]
    return "/".join(parts)


def _sentence(answer: httpx.Response) -> str:
    try:
        return str(answer.json()["message"])
    except (ValueError, KeyError):
        return answer.text


@dataclass(frozen=True)
class Write:
    """One write as the API server logged it; `code` is what it answered."""

    user: str
    verb: str
    resource: str
    namespace: str
    name: str
    code: int


class AuditLog:
    """The API server's log of writes, from the moment of `mark()` on."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._from = 0

    def mark(self) -> None:
        self._from = self._path.stat().st_size

    def writes(self, user: str, namespace: str | None = None) -> list[Write]:
        """Writes by users whose name begins so, since the mark. Leases are heartbeats; events tell of a write."""
        with self._path.open("rb") as log:
            log.seek(self._from)
            found = [_write(json.loads(line)) for line in log if line.endswith(b"\n")]
        return [
            write
            for write in found
            if write.user.startswith(user)
            and write.resource not in ("leases", "events")
            and (namespace is None or write.namespace == namespace)
        ]


def _write(event: Mapping[str, Any]) -> Write:
    subject = event.get("objectRef", {})
    resource = "/".join(filter(None, (subject.get("resource", ""), subject.get("subresource", ""))))
    return Write(
        event["user"]["username"],
        event["verb"],
        resource,
        subject.get("namespace", ""),
        subject.get("name", ""),
        event.get("responseStatus", {}).get("code", 0),
    )
