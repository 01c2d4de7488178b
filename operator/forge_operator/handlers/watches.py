"""Kopf as the informer. An event changes the cache and names a model to look at; nothing is decided here."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import kopf
from kopf import ConnectionInfo

from forge_operator.cluster.client import Client
from forge_operator.cluster.kinds import MODEL, POD, Kind
from forge_operator.control.cache import Cache, Key
from forge_operator.control.queue import Queue
from forge_operator.control.workers import WATCHED, selector_of

# Children and pods change several times in a row, and each look may be a write: seconds to wait for the last change.
_SETTLE = 0.3


class Endless:
    """Pauses between tries, in seconds. It never ends: Kopf gives up, and goes, when it does."""

    def __iter__(self) -> Iterator[float]:
        yield from (1, 1, 2, 3, 5, 8)
        while True:
            yield 10


def settings() -> kopf.OperatorSettings:
    """Kopf as a plain informer: it writes nothing, and does not go when the API server is away."""
    chosen = kopf.OperatorSettings()
    chosen.posting.enabled = False
    chosen.scanning.disabled = True
    chosen.peering.standalone = True
    chosen.watching.inactivity_timeout = 70
    chosen.queueing.idle_timeout = 0.5  # Kopf keeps a task, and the last event, of each object for so long
    chosen.networking.request_timeout = 45
    chosen.networking.error_backoffs = Endless()
    for kind in WATCHED:
        if selector := selector_of(kind):
            chosen.watching.label_selectors[kind.group, kind.version, kind.plural] = selector
    return chosen


def registry(
    client: Client, cache: Cache, queue: Queue[Key], pod_is_gone: Callable[[Mapping[str, Any]], None]
) -> kopf.OperatorRegistry:
    """What Kopf watches for us, and as whom."""
    found = kopf.OperatorRegistry()

    async def login(**_: Any) -> ConnectionInfo:
        return await connection(client)

    kopf.on.login(registry=found)(login)
    for kind in WATCHED:
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


async def connection(client: Client) -> ConnectionInfo:
    """The client's own credentials, for Kopf."""
    found = client.configuration
    scheme, _, token = (await client.authorization() or "").partition(" ")
    return ConnectionInfo(
        server=found.host,
        ca_path=found.ssl_ca_cert,
        insecure=not found.verify_ssl,
        certificate_path=found.cert_file,
        private_key_path=found.key_file,
        scheme=scheme or None,
        token=token or None,
    )
