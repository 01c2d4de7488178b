"""The containers of ours in pods that do not serve: what state they are in, and how they ended."""

from collections.abc import Collection, Iterator
from typing import Any

from forge_operator.api.v1alpha1 import FETCHERS, SERVER, Manifest
from forge_operator.status.observed import Observed, has_ended, is_ready

ContainerStatus = dict[str, Any]


def waiting(observed: Observed) -> list[Manifest]:
    """Pods of the present spec that may come to serve."""
    return [pod for pod in observed.current() if not is_ready(pod) and not has_ended(pod)]


def servers(observed: Observed) -> Iterator[ContainerStatus]:
    """Of the server in each pod that does not serve; others may be injected."""
    return _named((SERVER,), "containerStatuses", observed)


def fetchers(observed: Observed) -> Iterator[ContainerStatus]:
    """Of the init containers that fetch, likewise."""
    return _named(FETCHERS, "initContainerStatuses", observed)


def ours(observed: Observed) -> list[ContainerStatus]:
    """Both, in the order in which a pod runs them."""
    return [*fetchers(observed), *servers(observed)]


def _named(names: Collection[str], where: str, observed: Observed) -> Iterator[ContainerStatus]:
    for pod in waiting(observed):
        statuses = pod.get("status", {}).get(where) or []
        yield from (status for status in statuses if status["name"] in names)


def called(status: ContainerStatus) -> str:
    """How a sentence about it begins."""
    field = FETCHERS.get(status["name"])
    return f"The fetch of {field}.uri" if field else "The server"


def state(status: ContainerStatus, kind: str) -> dict[str, Any]:
    """What is told of the state `waiting` or `terminated`; empty when it is in another."""
    found: dict[str, Any] = status.get("state", {}).get(kind) or {}
    return found


def runs(status: ContainerStatus) -> bool:
    """Whether it runs now."""
    return "running" in status.get("state", {})


def ended(status: ContainerStatus) -> dict[str, Any]:
    """How the container ended, now or the last time: while it tries again, that is still the best news."""
    states = (status.get("state", {}), status.get("lastState", {}))
    return next((state["terminated"] for state in states if state.get("terminated")), {})
