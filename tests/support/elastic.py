"""A model that is scaled, and a record of how many pods it had, what the autoscaler saw and what status said."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Self

import httpx
from prometheus_client.parser import text_string_to_metric_families

from forge_operator.api.scaling import METRICS, MetricType
from forge_operator.api.v1alpha1 import SERVER
from forge_operator.children.shape import ADMIN_PORT, MODEL_UID_LABEL, child_name
from forge_operator.status.observed import is_ready
from tests.controlplane.lab import Lab, condition
from tests.harness.nvml import IN_POD
from tests.support.kube import Manifest, RefusedError
from tests.support.waiting import until

_PAUSE = 0.5  # seconds between two looks of a record
_GROUP = "/apis/custom.metrics.k8s.io/v1beta2"


@dataclass(frozen=True)
class Look:
    """One moment, in seconds since 1970. `value`: the metric's mean over the pods that have one.

    `listed`: the pods to which the Service sends requests.
    """

    at: float
    replicas: int
    ready: int
    value: float | None
    active: tuple[str, str, str]
    listed: frozenset[str]


@dataclass(frozen=True)
class Elastic:
    """A model with `spec.autoscaling` in a namespace."""

    lab: Lab
    name: str
    uid: str

    @classmethod
    def created(cls, lab: Lab, name: str, **spec: Any) -> Self:
        return cls(lab, name, lab.create(name, **spec)["metadata"]["uid"])

    @property
    def url(self) -> str:
        return f"http://{child_name(self.name)}.{self.lab.namespace}.svc.cluster.local"

    def replicas(self) -> int:
        """How many pods are asked for at present."""
        return int(self.lab.kube.get("Deployment", child_name(self.name), self.lab.namespace)["spec"]["replicas"])

    def pods(self) -> list[Manifest]:
        """Those that are leaving included."""
        return self.lab.kube.list("Pod", self.lab.namespace, f"{MODEL_UID_LABEL}={self.uid}")

    def ready(self) -> int:
        return sum(is_ready(pod) for pod in self.pods())

    def events(self, reason: str) -> list[str]:
        """What events of this reason say of the model."""
        path = f"/apis/events.k8s.io/v1/namespaces/{self.lab.namespace}/events"
        found = self.lab.kube.request("GET", path, fieldSelector=f"reason={reason}").json()["items"]
        return [event["note"] for event in found if event["regarding"].get("uid") == self.uid]

    def log(self, pod: str) -> str:
        """What its server has logged."""
        return self.lab.kube.ctl("logs", "-n", self.lab.namespace, pod, "-c", SERVER)

    def listed(self) -> frozenset[str]:
        """Pods to which the Service sends requests."""
        path = f"/apis/discovery.k8s.io/v1/namespaces/{self.lab.namespace}/endpointslices"
        wanted = f"kubernetes.io/service-name={child_name(self.name)}"
        slices = self.lab.kube.request("GET", path, labelSelector=wanted).json()["items"]
        endpoints = [endpoint for one in slices for endpoint in one.get("endpoints") or []]
        return frozenset(
            endpoint["targetRef"]["name"]
            for endpoint in endpoints
            if endpoint.get("conditions", {}).get("ready") and "targetRef" in endpoint
        )

    def value(self, metric: MetricType) -> float | None:
        """What the metrics server says now: the mean over the pods, or None where it has no sample."""
        path = f"{_GROUP}/namespaces/{self.lab.namespace}/pods/*/{METRICS[metric].name}"
        try:
            answer = self.lab.kube.request("GET", path, labelSelector=f"{MODEL_UID_LABEL}={self.uid}").json()
        except RefusedError:
            return None
        values = [quantity(item["value"]) for item in answer["items"]]
        return sum(values) / len(values) if values else None

    def scale_by(self, metric: MetricType, target: float, **rest: Any) -> None:
        """Replace what it is scaled by."""
        self.lab.edit(self.name, autoscaling={"metrics": [{"type": metric, "target": target}], **rest})

    def gpu(self, percent: int) -> None:
        """What NVML says from now on in each pod whose server runs."""
        # By renaming: a file that is half written would be an idle GPU.
        script = f"echo {percent} 0 > {IN_POD}.new && mv {IN_POD}.new {IN_POD}"
        for pod in self.pods():
            if "deletionTimestamp" not in pod["metadata"] and pod["status"]["phase"] == "Running":
                self.lab.kube.ctl("exec", "-n", self.lab.namespace, pod["metadata"]["name"], "--", "sh", "-c", script)

    def running_on_leaving(self, limit: float = 10.0) -> int:
        """Answers that are under way on pods that leave; 0 when there is none within `limit` seconds."""
        end = time.monotonic() + limit
        while time.monotonic() < end:
            leaving = [pod["metadata"]["name"] for pod in self.pods() if "deletionTimestamp" in pod["metadata"]]
            if running := sum(self._running(name) for name in leaving):
                return running
        return 0

    def _running(self, pod: str) -> int:
        try:
            text = self.lab.kube.request("GET", f"{self._proxied(pod)}/metrics").text
        except RefusedError:  # it is gone
            return 0
        return int(sum(counted(text, "forge_requests_running")))

    def _proxied(self, pod: str) -> str:
        return f"/api/v1/namespaces/{self.lab.namespace}/pods/{pod}:{ADMIN_PORT}/proxy"

    def awaits(self, replicas: int, limit: float) -> None:
        """Wait until so many pods are asked for."""
        try:
            until(lambda: self.replicas() == replicas, limit=limit, what=f"{replicas} replicas", pause=0.5)
        except TimeoutError as error:
            error.add_note(f"status: {self.lab.model(self.name).get('status')}")
            raise

    def awaits_ready(self, replicas: int, limit: float) -> None:
        """Wait until so many pods are ready and no other one is there."""

        def settled() -> bool:
            pods = self.pods()
            return len(pods) == replicas and all(is_ready(pod) for pod in pods)

        until(settled, limit=limit, what=f"{replicas} ready pods and no other", pause=0.5)


@dataclass
class Recording:
    """What was seen, look by look."""

    looks: list[Look] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    @property
    def steps(self) -> list[int]:
        """The numbers of replicas, each once for as long as it stayed."""
        found: list[int] = []
        for look in self.looks:
            if found[-1:] != [look.replicas]:
                found.append(look.replicas)
        return found

    def mark(self) -> None:
        """Forget what was seen so far, but for the last look."""
        del self.looks[:-1]


@contextmanager
def recorded(elastic: Elastic, metric: MetricType) -> Iterator[Recording]:
    """Look twice a second until the end of the block; what could not be seen is in `failures`."""
    recording, stop = Recording(), threading.Event()

    def watch() -> None:
        while not stop.wait(_PAUSE):
            try:
                recording.looks.append(_look(elastic, metric))
            except (RefusedError, httpx.HTTPError) as error:
                recording.failures.append(f"{time.time():.1f}: {error!r}")

    watcher = threading.Thread(target=watch, name=f"recording {elastic.name}")
    watcher.start()
    try:
        yield recording
    finally:
        stop.set()
        watcher.join()


def _look(elastic: Elastic, metric: MetricType) -> Look:
    model = elastic.lab.model(elastic.name)
    return Look(
        time.time(),
        elastic.replicas(),
        elastic.ready(),
        elastic.value(metric),
        condition(model, "AutoscalingActive"),
        elastic.listed(),
    )


def counted(text: str, name: str, **labels: str) -> list[float]:
    """Values of a series in Prometheus' text."""
    return [
        sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == name and labels.items() <= sample.labels.items()
    ]


def quantity(text: str) -> float:
    """Kubernetes' amounts, as far as metrics use them."""
    for suffix, factor in {"n": 1e-9, "u": 1e-6, "m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9}.items():
        if text.endswith(suffix):
            return float(text[:-1]) * factor
    return float(text)
