"""One model on a real cluster, a load with a step up and a step down, and what became of both."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from forge_operator.api.scaling import MetricType
from tests.bench_scaling.split import ANSWERED, Split, seconds_of, split
from tests.cluster.conftest import LIMIT, RESTRICTED, SPEC, put, upgrade
from tests.controlplane.lab import Lab
from tests.harness.backends import Cluster
from tests.harness.steps import say
from tests.support.checkpoints import a_real_pair
from tests.support.elastic import Elastic, Look, recorded
from tests.support.kube import SCIM, Manifest, connected
from tests.support.load import Load, offered
from tests.support.waiting import until

MOST = 3
TOKENS = 64  # of each answer
ABOVE = 1.5  # times what one replica can answer
# Of each replica: on a machine of few cores they would otherwise share what one has, and three answer no more than one.
CPU = "400m"
CALM = 30.0  # seconds before the step up
_SERVING = {"maxModelLen": 256, "maxConcurrency": 1, "maxQueue": 32, "requestTimeoutSeconds": 60}
_ASKED = ["--api", "completions", "--ignore-eos", "--max-tokens", str(TOKENS)]


@dataclass(frozen=True)
class Wish:
    """What is scaled by, what each replica should have of it, and seconds of little load before pods go."""

    metric: MetricType
    target: float
    delay: int


@dataclass(frozen=True)
class Measured:
    """`alone`: answers a second of one replica. `figures`: the load generator's. `splits`: of the pods that came."""

    wish: Wish
    alone: float
    low: float
    high: float
    busy: float  # seconds of the high rate
    figures: dict[str, Any]
    looks: list[Look]
    splits: list[Split]

    @property
    def began(self) -> float:
        """Seconds since 1970."""
        return seconds_of(self.figures["began_at"])

    @property
    def steps(self) -> list[tuple[float, int]]:
        """Seconds since the load began, and the number of replicas from then on."""
        found: list[tuple[float, int]] = []
        for look in self.looks:
            if not found or found[-1][1] != look.replicas:
                found.append((look.at - self.began, look.replicas))
        return found


def measured(cluster: Cluster, wish: Wish, busy: float, calm: float, folder: Path) -> Measured:
    """Offer a low rate, `busy` seconds of a high one, and `calm` seconds of the low one again.

    Raises
    ------
    TimeoutError
        The model did not get its pods.
    """
    a_real_pair(folder)
    put(folder)
    upgrade(cluster, f"profiles.cpu.limits.cpu={CPU}")
    with connected(cluster.kubeconfig) as kube, Lab.created(kube, RESTRICTED) as lab, _served(lab, wish) as elastic:
        alone = _alone(cluster, elastic)
        low, high = round(alone / 8, 2), round(alone * ABOVE, 2)
        say(f"one replica answers {alone:.2f} requests/s; the load goes from {low} to {high} and back")
        rate = f"{low}:{CALM:g}s,{high}:{busy:g}s,{low}:{calm:g}s"
        with recorded(elastic, wish.metric) as seen, _load(cluster, elastic, "--rate", rate) as load:
            elastic.awaits_ready(MOST, limit=CALM + busy)
            came = _answered(elastic, limit=busy)
            say("all new pods answer; waiting for the end of the load")
            figures = load.figures(limit=CALM + busy + calm + 120)
    step = seconds_of(figures["began_at"]) + CALM
    found = [split(step, seen.looks, wish.target, pod, log) for pod, log in came]
    # The first pod was there before; what it passed, it passed before the step.
    new = [each for each, (pod, _) in zip(found, came, strict=True) if each and _created(pod) >= step]
    return Measured(wish, alone, low, high, busy, figures, seen.looks, new)


@contextmanager
def _served(lab: Lab, wish: Wish) -> Iterator[Elastic]:
    scaling = {
        "minReplicas": 1,
        "maxReplicas": MOST,
        "scaleDownDelaySeconds": wish.delay,
        "metrics": [{"type": wish.metric, "target": wish.target}],
    }
    elastic = Elastic.created(lab, "elastic", **{**SPEC, "serving": _SERVING, "autoscaling": scaling})
    lab.awaits("Ready", "True", "Serving", elastic.name, limit=LIMIT)
    yield elastic
    lab.kube.delete(SCIM, elastic.name, lab.namespace)


@contextmanager
def _load(cluster: Cluster, elastic: Elastic, *flags: str) -> Iterator[Load]:
    lab = elastic.lab
    with offered(lab.kube, lab.namespace, cluster.inference_image, elastic.url, *_ASKED, *flags) as load:
        yield load


def _alone(cluster: Cluster, elastic: Elastic) -> float:
    """What one replica answers in a second, never without work."""
    with _load(cluster, elastic, "--concurrency", "2", "--duration", "15s") as load:
        figures = load.figures(limit=120)
    return float(figures["requests"]["succeeded"] / figures["seconds"])


def _answered(elastic: Elastic, limit: float) -> Sequence[tuple[Manifest, str]]:
    """Pods and their logs, once each has answered something: a pod that has gone says nothing any more."""
    found: list[tuple[Manifest, str]] = []

    def all_answered() -> bool:
        found[:] = [(pod, elastic.log(pod["metadata"]["name"])) for pod in elastic.pods()]
        return all(ANSWERED.search(log) for _, log in found)

    until(all_answered, limit=limit, what="an answer of each pod", pause=1)
    return found


def _created(pod: Manifest) -> float:
    return seconds_of(pod["metadata"]["creationTimestamp"])
