"""Which port is which model, and where its ready pods are: what the EndpointSlices say."""

import asyncio
import logging
from collections.abc import Collection
from dataclasses import dataclass
from typing import NamedTuple

from forge_operator.api.v1alpha1 import KIND, Manifest
from forge_operator.children.activation import PORTS, SERVICE_LABEL, SLICE_MANAGER, ready_addresses
from forge_operator.children.shape import FIELD_MANAGER
from forge_operator.cluster.watch import Changed, Listed

logger = logging.getLogger(__name__)


class Place(NamedTuple):
    """A model's Service and Deployment: they have one name."""

    namespace: str
    name: str


@dataclass(frozen=True, slots=True)
class Target:
    """Whom a port is for; `model` is the resource's whole name."""

    place: Place
    model: str
    uid: str


Address = tuple[str, int]  # host and port of a pod


class Table:
    """Fed by watches of the operator's slices and of Kubernetes' own for the same Services, one for each namespace."""

    def __init__(self, namespaces: Collection[str] = ("",)) -> None:
        """`namespaces` that are watched; an empty name is all of them."""
        self._unlisted = set(namespaces)
        self._ours: dict[Place, Manifest] = {}  # by the slice's own place
        self._theirs: dict[Place, Manifest] = {}
        self._targets: dict[int, Target] = {}
        self._ready: dict[Place, list[Address]] = {}
        self._news: dict[Place, asyncio.Event] = {}
        self.ports_changed = asyncio.Event()

    @property
    def known(self) -> bool:
        """Whether everything was listed once."""
        return not self._unlisted

    def take(self, seen: Listed | Changed, namespace: str = "") -> None:
        """Believe what the watch of this namespace tells."""
        if isinstance(seen, Listed):
            for kept in (self._ours, self._theirs):
                for place in [place for place in kept if namespace in ("", place.namespace)]:
                    del kept[place]
            for thing in seen.things:
                self._put(thing)
            self._unlisted.discard(namespace)
            self._look_at_pods({*self._ready, *map(_service, self._theirs.values())})
            self._look_at_ports()
        elif self._put(seen.thing, gone=seen.gone):
            self._look_at_ports()
        else:
            self._look_at_pods({_service(seen.thing)})

    def ports(self) -> set[int]:
        """Those that belong to a model."""
        return set(self._targets)

    def target(self, port: int) -> Target | None:
        """Whom this port is for."""
        return self._targets.get(port)

    def ready(self, place: Place) -> list[Address]:
        """Where pods take requests."""
        return self._ready.get(place, [])

    async def news(self, place: Place, at_most: float) -> None:
        """Return when the model's ready pods are others than before, or after so many seconds."""
        event = self._news.setdefault(place, asyncio.Event())
        try:
            async with asyncio.timeout(at_most):
                await event.wait()
        except TimeoutError:
            return

    def _put(self, thing: Manifest, *, gone: bool = False) -> bool:
        """Whether the slice is one of ours."""
        is_ours: bool = thing["metadata"]["labels"].get(SLICE_MANAGER) == FIELD_MANAGER
        kept = self._ours if is_ours else self._theirs
        place = Place(thing["metadata"]["namespace"], thing["metadata"]["name"])
        if gone:
            kept.pop(place, None)
        else:
            kept[place] = thing
        return is_ours

    def _look_at_pods(self, services: set[Place]) -> None:
        found: dict[Place, list[Address]] = {}
        for thing in self._theirs.values():
            if (service := _service(thing)) in services:
                found.setdefault(service, []).extend(_ready(thing))
        for service in services:
            before = self._ready.pop(service, [])
            if now := found.get(service):
                self._ready[service] = now
            if before != now and (event := self._news.pop(service, None)):
                event.set()

    def _look_at_ports(self) -> None:
        """Two slices with one port: the older one has it. The operator gives each a port of its own."""
        found: dict[int, Target] = {}
        for thing in sorted(self._ours.values(), key=_age):
            target, port = _target(thing), (thing.get("ports") or [{}])[0].get("port")
            if target is None or port not in PORTS:
                logger.warning("slice %s/%s: is not as the operator makes them", *_service(thing))
            elif found.setdefault(port, target) != target:
                logger.warning("slice %s/%s: its port %d is another model's", *_service(thing), port)
        if found != self._targets:
            self._targets = found
            self.ports_changed.set()


def _service(thing: Manifest) -> Place:
    return Place(thing["metadata"]["namespace"], thing["metadata"]["labels"].get(SERVICE_LABEL, ""))


def _age(thing: Manifest) -> tuple[str, str]:
    meta = thing["metadata"]
    return meta.get("creationTimestamp") or "", meta["uid"]


def _ready(thing: Manifest) -> list[Address]:
    port = next((each.get("port") for each in thing.get("ports") or [] if each.get("name") == "http"), None)
    if port is None:
        return []
    return [(address, port) for address in ready_addresses(thing)]


def _target(thing: Manifest) -> Target | None:
    owners = thing["metadata"].get("ownerReferences") or []
    owner = next((each for each in owners if each.get("controller") and each.get("kind") == KIND), None)
    service = _service(thing)
    return Target(service, owner["name"], owner["uid"]) if owner and service.name else None
