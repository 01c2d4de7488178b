"""The loops that keep the decision level-based: workers, the resync, and the audit of the watches."""

import asyncio
import itertools
import logging
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from typing import Protocol

from forge_operator.api.v1alpha1 import Manifest
from forge_operator.children.shape import MANAGED_BY
from forge_operator.cluster.errors import ClusterError
from forge_operator.cluster.kinds import MODEL, Kind
from forge_operator.control.cache import Cache, Id, Key, id_of
from forge_operator.control.metrics import Metrics
from forge_operator.control.queue import Queue
from forge_operator.errors import NotYet, OperatorError

logger = logging.getLogger(__name__)

_LONGEST = 60.0  # seconds of one reconcile; every call in it has a limit of its own
_AUDIT_EVERY = 30.0  # seconds; two audits that agree are a finding
# At the start sooner: nobody tells of objects that went between our first list and a watch's own.
_AUDIT_FIRST = (4.0, 4.0)


class Lister(Protocol):
    """The part of the client that this needs."""

    def list(
        self, kind: Kind, namespace: str = "", selector: str = "", *, metadata_only: bool = False
    ) -> AsyncIterator[Manifest]: ...


async def work(queue: Queue[Key], reconcile: Callable[[Key], Awaitable[None]], metrics: Metrics) -> None:
    """One worker, for ever. What goes wrong with one model is logged and tried again, later and later."""
    while True:
        key = await queue.get()
        start = time.monotonic()
        try:
            async with asyncio.timeout(_LONGEST):
                await reconcile(key)
        except NotYet as error:
            delay = queue.retry(key, at_least=min(error.retry_after, 1.0))
            logger.debug("%s: %s Again in %.1f s.", key, error, delay, extra={"model": str(key)})
        except (OperatorError, TimeoutError) as error:
            metrics.errors.labels(reason=type(error).__name__).inc()
            delay = queue.retry(key)
            logger.warning(
                "%s: %s Again in %.1f s.", key, str(error) or "took too long.", delay, extra={"model": str(key)}
            )
        except Exception:
            metrics.errors.labels(reason="Defect").inc()
            delay = queue.retry(key, at_least=5)
            logger.exception("%s: a defect of the operator. Again in %.1f s.", key, delay, extra={"model": str(key)})
        else:
            queue.forget(key)
        finally:
            metrics.reconcile_seconds.observe(time.monotonic() - start)
            queue.done(key)


async def resync(queue: Queue[Key], cache: Cache, seconds: float) -> None:
    """Look at every model again every so often, spread over the period, in case something was missed."""
    while True:
        for key in cache.models():
            queue.add_after(key, random.uniform(0.5, 1.0) * seconds)  # noqa: S311 - spreads load
        await asyncio.sleep(seconds)


async def prime(client: Lister, cache: Cache, kinds: Collection[Kind], namespaces: Collection[str]) -> None:
    """Fill the cache before the first worker runs: otherwise a restart would judge what it has not seen."""
    for kind in kinds:
        for namespace in namespaces or ("",):
            async for thing in client.list(kind, namespace, selector_of(kind)):
                cache.put(kind.name, thing)


def selector_of(kind: Kind) -> str:
    """Models are all ours; of the rest only what we labelled."""
    return "" if kind == MODEL else MANAGED_BY


class Audit:
    """Compares the cache with lists. Repairs what a watch missed, and tells when a watch is deaf.

    Kopf tells nothing of objects that went while a watch was interrupted, so only a list can.
    """

    def __init__(
        self,
        client: Lister,
        cache: Cache,
        queue: Queue[Key],
        kinds: Collection[Kind],
        namespaces: Collection[str],
    ) -> None:
        self._client, self._cache, self._queue, self._kinds = client, cache, queue, kinds
        self._namespaces = namespaces or ("",)
        self._ghosts: set[tuple[Id, str]] = set()
        self._unseen: set[tuple[Id, str]] = set()
        self.deaf: list[str] = []  # kinds of which the watch did not tell for two audits

    async def run(self) -> None:
        """For ever. An API server that does not answer is no finding: a restart would not help."""
        for pause in itertools.chain(_AUDIT_FIRST, itertools.repeat(_AUDIT_EVERY)):
            await asyncio.sleep(pause)
            try:
                await self.look(hurried=pause < _AUDIT_EVERY)
            except ClusterError as error:
                logger.warning("audit: %s", error)

    async def look(self, *, hurried: bool = False) -> None:
        """One comparison. Raises ClusterError. `hurried`: too soon after another to call a watch deaf."""
        ghosts: set[tuple[Id, str]] = set()
        unseen: set[tuple[Id, str]] = set()
        for kind in self._kinds:
            listed: dict[Id, str] = {}
            for namespace in self._namespaces:
                async for thing in self._client.list(kind, namespace, selector_of(kind), metadata_only=True):
                    listed[id_of(kind.name, thing)] = thing["metadata"]["resourceVersion"]  # not all of it: memory
            known = {place: thing["metadata"] for place, thing in self._cache.of_kind(kind.name)}
            for place, version in listed.items():
                mine = known.get(place)
                if mine is None or int(mine["resourceVersion"]) < int(version):
                    unseen.add((place, version))
            ghosts |= {(place, meta["uid"]) for place, meta in known.items() if place not in listed}
        for place, uid in ghosts & self._ghosts:
            logger.warning("audit: %s %s/%s is gone and no watch told", *place)
            gone = {"metadata": {"namespace": place.namespace, "name": place.name, "uid": uid}}
            owner = self._cache.owner(place)
            self._cache.drop(place.kind, gone)
            if owner is not None:
                self._queue.add(owner)
        self.deaf = [] if hurried else sorted({place.kind for place, _ in unseen & self._unseen})
        if self.deaf:
            logger.error("audit: no watch told of changes of %s", ", ".join(self.deaf))
        self._ghosts, self._unseen = ghosts, unseen
