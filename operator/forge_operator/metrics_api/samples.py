"""What is known of each pod now. The only file that decides what a sample is, and how long it is one."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from forge_operator.api.scaling import METRICS
from forge_operator.metrics_api.exposition import FIRST_TOKEN, GENERATION, Reading, momentary
from forge_operator.metrics_api.selectors import Matches
from forge_operator.metrics_api.windows import Window

NAMES: Final = tuple(kind.name for kind in METRICS.values())
FRESH_FOR: Final = 30.0  # seconds
_SHARE = 0.95
_PERCENTILES = {GENERATION: "forge_latency_p95_seconds", FIRST_TOKEN: "forge_time_to_first_token_p95_seconds"}


@dataclass(frozen=True, slots=True)
class Pod:
    """One that is ready; `model` is the full name of the model that it serves."""

    namespace: str
    name: str
    uid: str
    address: str
    model: str
    labels: dict[str, str]


@dataclass(frozen=True, slots=True)
class Sample:
    """A value, `seen` by the clock that only goes forward, `at` by the one on the wall, over `window` seconds."""

    value: float
    seen: float
    at: datetime
    window: int = 0


@dataclass(frozen=True, slots=True)
class OfModel:
    """The mean over all ready pods of a model, and the oldest of the samples that it is made of."""

    mean: float
    pods: int
    oldest: Sample


@dataclass(slots=True)
class _Known:
    pod: Pod
    samples: dict[str, Sample] = field(default_factory=dict)
    windows: dict[str, Window] = field(default_factory=dict)


class Samples:
    """Of all pods that are ready. Times are in seconds, `now` of a clock that only goes forward."""

    def __init__(self) -> None:
        self._pods: dict[str, dict[str, _Known]] = {}  # by namespace and name

    def replace(self, namespace: str, pods: Iterable[Pod]) -> None:
        """These are the ready ones of a namespace, or with "" of all; whoever is not among them is forgotten."""
        pods = list(pods)
        present = {(pod.namespace, pod.name) for pod in pods}
        for place in [namespace] if namespace else list(self._pods):
            for name in list(self._pods.get(place, ())):
                if (place, name) not in present:
                    self.forget(place, name)
        for pod in pods:
            self.put(pod)

    def put(self, pod: Pod) -> None:
        """This one is ready; what it said stays, unless another one had its name."""
        known = self._pods.setdefault(pod.namespace, {}).get(pod.name)
        if known is None or known.pod.uid != pod.uid:
            known = _Known(pod)
        known.pod = pod
        self._pods[pod.namespace][pod.name] = known

    def forget(self, namespace: str, name: str) -> None:
        """This one is not ready any more: it has no sample from now on."""
        pods = self._pods.get(namespace, {})
        pods.pop(name, None)
        if not pods:
            self._pods.pop(namespace, None)

    def pods(self) -> list[Pod]:
        """Those that are ready."""
        return [known.pod for pods in self._pods.values() for known in pods.values()]

    def add(self, pod: Pod, reading: Reading, now: float, at: datetime | None = None) -> int:
        """What the pod said, once; how many samples it gave. What it cannot tell any more is dropped at once."""
        known = self._pods.get(pod.namespace, {}).get(pod.name)
        if known is None or known.pod.uid != pod.uid:
            return 0  # it is not ready any more
        at = at or datetime.now(UTC)
        known.samples = {name: Sample(value, now, at) for name, value in momentary(reading).items()}
        for name, metric in _PERCENTILES.items():
            histogram = reading.histograms.get(name)
            if histogram is None or not histogram.usable:
                continue
            window = known.windows.setdefault(name, Window())
            window.add(now, histogram)
            if found := window.quantile(_SHARE):
                known.samples[metric] = Sample(found[0], now, at, round(found[1]))
        return len(known.samples)

    def of_pod(self, namespace: str, name: str, metric: str, now: float) -> tuple[Pod, Sample] | None:
        """A pod's fresh sample, if it has one."""
        known = self._pods.get(namespace, {}).get(name)
        sample = known and _fresh(known, metric, now)
        return (known.pod, sample) if known and sample else None

    def of_pods(self, namespace: str, matches: Matches, metric: str, now: float) -> Iterator[tuple[Pod, Sample]]:
        """The fresh samples of all pods with such labels."""
        for known in self._pods.get(namespace, {}).values():
            if matches(known.pod.labels) and (sample := _fresh(known, metric, now)):
                yield known.pod, sample

    def of_model(self, namespace: str, model: str, metric: str, now: float) -> OfModel | None:
        """None when a single ready pod has no fresh sample.

        An autoscaler that sees pods allows for those without a sample; one that sees a mean could not.
        """
        ready = [known for known in self._pods.get(namespace, {}).values() if known.pod.model == model]
        samples = [sample for known in ready if (sample := _fresh(known, metric, now))]
        if not ready or len(samples) < len(ready):
            return None
        mean = sum(sample.value for sample in samples) / len(samples)
        return OfModel(mean, len(samples), min(samples, key=lambda sample: sample.seen))

    def serves(self, namespace: str, model: str) -> bool:
        """Whether a pod of this model is ready."""
        return any(known.pod.model == model for known in self._pods.get(namespace, {}).values())

    def fresh(self, metric: str, now: float) -> int:
        """How many pods have a fresh sample."""
        return sum(bool(_fresh(known, metric, now)) for pods in self._pods.values() for known in pods.values())


def _fresh(known: _Known, metric: str, now: float) -> Sample | None:
    sample = known.samples.get(metric)
    return sample if sample and now - sample.seen <= FRESH_FOR else None
