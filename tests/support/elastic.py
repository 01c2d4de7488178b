"""A model that is scaled, and a record of how many pods it had, what the autoscaler saw and what status said."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Self

from forge_operator.api.scaling import METRICS, MetricType
from forge_operator.children.shape import MODEL_UID_LABEL, child_name
from tests.controlplane.lab import Lab, condition
from tests.harness.nvml import IN_POD
from tests.support.kube import Manifest, RefusedError
from tests.support.waiting import until

_PAUSE = 0.5  # seconds between two looks of a record
_GROUP = "/apis/custom.metrics.k8s.io/v1beta2"


@dataclass(frozen=True)
class Look:
    """One moment, in seconds since 1970. `value`: the metric's mean over the pods that have one."""

    at: float
    replicas: int
    ready: int
    value: float | None
    active: tuple[str, str, str]


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
    """Look twice a second until the end of the block. Raises AssertionError there if a look failed."""
    recording, stop = Recording(), threading.Event()

    def watch() -> None:
        while not stop.wait(_PAUSE):
            try:
                recording.looks.append(_look(elastic, metric))
            except (RefusedError, OSError, KeyError) as error:
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
    )


def is_ready(pod: Manifest) -> bool:
    said = {each["type"]: each["status"] for each in pod["status"].get("conditions", [])}
    return said.get("Ready") == "True"


def quantity(text: str) -> float:
    """Kubernetes' amounts, as far as metrics use them."""
    for suffix, factor in {"n": 1e-9, "u": 1e-6, "m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9}.items():
        if text.endswith(suffix):
            return float(text[:-1]) * factor
    return float(text)
