"""Where the time goes from a step of the load to the first answer of a new pod."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from statistics import median
from typing import Any

from tests.support.elastic import Look
from tests.support.kube import Manifest

# What a pod passes on its way, in order: the moment's key, and what lies between it and the one before.
STAGES = {
    "metric": "the metric is over its target: prompts gather, the pod is scraped",
    "decided": "the autoscaler decides",
    "scheduled": "a pod exists and has a node",
    "running": "its container runs: image, volumes, network",
    "imported": "Python has imported torch and what serves",
    "loaded": "files are checked, weights read and quantised",
    "warm": "the adapter is tried, the first generation made",
    "ready": "the kubelet has seen that it is ready",
    "listed": "it is listed among the Service's endpoints",
    "answered": "its first request is answered",
}
_TOLERANCE = 1.1  # what is less above the target the autoscaler lets pass
ANSWERED = re.compile(r"POST /v1/completions 200 ")


@dataclass(frozen=True)
class Split:
    """Of one pod: seconds for each of STAGES."""

    pod: str
    seconds: Mapping[str, float]

    @property
    def whole(self) -> float:
        return sum(self.seconds.values())


def split(step: float, looks: Sequence[Look], target: float, pod: Manifest, log: str) -> Split | None:
    """Of a pod that the step of the load brought; None of one that has not answered yet.

    Kubernetes' own times are whole seconds, rounded down: what seems to be over before it began took no time.
    """
    moments = dict(_moments(step, looks, target, pod, log))
    if moments.keys() != STAGES.keys():
        return None
    seconds, before = {}, step
    for name in STAGES:
        now = max(before, moments[name])
        seconds[name], before = now - before, now
    return Split(pod["metadata"]["name"], seconds)


def medians(splits: Sequence[Split]) -> dict[str, float]:
    return {name: median(each.seconds[name] for each in splits) for name in STAGES}


def _moments(step: float, looks: Sequence[Look], target: float, pod: Manifest, log: str) -> Iterator[tuple[str, float]]:
    name, status = pod["metadata"]["name"], pod["status"]
    since = [look for look in looks if look.at >= step]
    yield from _first("metric", (look.at for look in since if (look.value or 0) > target * _TOLERANCE))
    # Of several decisions the one that brought this pod: the last before it was made, in a second that is rounded down.
    made = seconds_of(pod["metadata"]["creationTimestamp"]) + 2
    rises = [now.at for last, now in pairwise(since) if now.replicas > last.replicas and now.at <= made]
    yield from _first("decided", iter(rises[-1:]))
    conditions = {each["type"]: each for each in status["conditions"] if each["status"] == "True"}
    for key, kind in (("scheduled", "PodScheduled"), ("ready", "Ready")):
        if kind in conditions:
            yield key, seconds_of(conditions[kind]["lastTransitionTime"])
    for container in status.get("containerStatuses", []):
        if "running" in container["state"]:
            yield "running", seconds_of(container["state"]["running"]["startedAt"])
    yield from _first("listed", (look.at for look in since if name in look.listed))
    yield from _of_log(log)


def _of_log(log: str) -> Iterator[tuple[str, float]]:
    lines = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    for key, tells in (
        ("imported", lambda said: said == "checking files ..."),
        ("loaded", lambda said: said.startswith("cache for ")),
        ("warm", lambda said: said.startswith("ready after ")),
        ("answered", ANSWERED.match),
    ):
        yield from _first(key, (seconds_of(line["time"]) for line in lines if _told(line, tells)))


def _told(line: Mapping[str, Any], tells: Any) -> bool:
    return bool(tells(str(line["message"])))


def _first(key: str, moments: Iterator[float]) -> Iterator[tuple[str, float]]:
    found = next(moments, None)
    if found is not None:
        yield key, found


def seconds_of(text: str) -> float:
    """Of a time as Kubernetes, our logs and the load generator write it."""
    return datetime.fromisoformat(text).timestamp()
