"""Kopf as the informer. An event changes the cache and names a model to look at; nothing is decided here."""

import json
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

import aiohttp
import kopf

from forge_operator.cluster.client import Client
from forge_operator.cluster.kinds import MODEL, POD, Kind
from forge_operator.control.cache import Cache, Key
from forge_operator.control.queue import Queue
from forge_operator.control.workers import selector_of

# Children and pods change several times in a row, and each look may be a write: seconds to wait for the last change.
_SETTLE = 0.3


class Endless:
    """Pauses between tries, in seconds. It never ends: Kopf gives up, and goes, when it does."""

    def __iter__(self) -> Iterator[float]:
        yield from (1, 1, 2, 3, 5, 8)
        while True:
            yield 10


class NoDiffBase(kopf.DiffBaseStorage):
    """Kopf copies each object to compare it with what was last handled. Nobody here asks for differences."""

    def build(self, *, body: kopf.Body, extra_fields: object = None) -> kopf.BodyEssence:
        return kopf.BodyEssence()

    def fetch(self, *, body: kopf.Body) -> None:
        """Nothing was kept."""

    def store(self, *, body: kopf.Body, patch: kopf.Patch, essence: kopf.BodyEssence) -> None:
        """Nothing is kept."""


def settings(kinds: Collection[Kind]) -> kopf.OperatorSettings:
    """Kopf as a plain informer: it writes nothing, and does not go when the API server is away."""
    chosen = kopf.OperatorSettings()
    chosen.posting.enabled = False
    chosen.persistence.diffbase_storage = NoDiffBase()
    chosen.scanning.disabled = True
    chosen.peering.standalone = True
    chosen.watching.inactivity_timeout = 70
    chosen.queueing.idle_timeout = 0.5  # Kopf keeps a task, and the last event, of each object for so long
    chosen.networking.request_timeout = 45
    chosen.networking.error_backoffs = Endless()
    for kind in kinds:
        if selector := selector_of(kind):
            chosen.watching.label_selectors[kind.group, kind.version, kind.plural] = selector
    return chosen


def registry(
    client: Client,
    cache: Cache,
    queue: Queue[Key],
    kinds: Collection[Kind],
    pod_is_gone: Callable[[Mapping[str, Any]], None],
) -> kopf.OperatorRegistry:
    """What Kopf watches for us, and as whom."""
    found = kopf.OperatorRegistry()

    async def login(**_: Any) -> kopf.AiohttpSession:
        return await session(client)

    kopf.on.login(registry=found)(login)
    for kind in kinds:
        seen = _handler(kind, cache, queue, pod_is_gone)
        kopf.on.event(kind.group, kind.version, kind.plural, id=kind.plural, registry=found)(seen)
    return found


def _handler(
    kind: Kind, cache: Cache, queue: Queue[Key], pod_is_gone: Callable[[Mapping[str, Any]], None]
) -> Callable[..., Any]:
    async def seen(event: Mapping[str, Any], **_: Any) -> None:
        thing = event["object"]
        if event["type"] == "DELETED":
            key = cache.drop(kind.name, thing)
            if kind == POD:
                pod_is_gone(thing)
        else:
            key = cache.put(kind.name, thing)
        if key is None:
            return
        if kind == MODEL:
            queue.add(key, urgent=True)  # somebody waits for it
        else:
            queue.add_after(key, _SETTLE)

    return seen


class Answer(aiohttp.ClientResponse):
    """A list of objects is half bookkeeping of who wrote which field; Kopf would hold all of it at once."""

    async def json(self, **_: Any) -> Any:
        return json.loads(await self.read(), object_hook=_without_bookkeeping)


def _without_bookkeeping(part: dict[str, Any]) -> dict[str, Any]:
    part.pop("managedFields", None)
    return part


async def session(client: Client) -> kopf.AiohttpSession:
    """Connections for Kopf, with the client's own credentials. Kopf asks again when they are not accepted any more."""
    found = client.configuration
    token = await client.authorization()
    return kopf.AiohttpSession(
        server=found.host,
        aiohttp_session=aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ssl=client.tls()),
            headers={"Authorization": token} if token else {},
            proxy=found.proxy,
            response_class=Answer,
        ),
    )
