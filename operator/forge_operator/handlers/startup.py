"""The life of the process: lead, learn what is there, watch and work, and give the lead back."""

import asyncio
import logging
import socket
import uuid
from collections.abc import Collection, Coroutine
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import kopf

from forge_operator.cluster.client import Client
from forge_operator.cluster.discovery import await_change, known
from forge_operator.cluster.kinds import Kind
from forge_operator.cluster.leader import Leader
from forge_operator.cluster.reports import Reports, Way, way_to_pods
from forge_operator.cluster.schema import check
from forge_operator.control.activators import Activators
from forge_operator.control.cache import Cache, Key
from forge_operator.control.metrics import Metrics
from forge_operator.control.observe import Observer
from forge_operator.control.queue import Queue
from forge_operator.control.reconcile import Reconciler
from forge_operator.control.workers import Audit, prime, resync, work
from forge_operator.control.zero import Zero
from forge_operator.handlers import watches
from forge_operator.handlers.probes import probe, serving, text
from forge_operator.handlers.together import first_of, told_to_end
from forge_operator.settings import Settings

logger = logging.getLogger(__name__)

_STUCK_AFTER = 80.0  # seconds without a finished reconcile, while there is work; one may take 60


class Operator:
    """The parts, and how they meet."""

    def __init__(self, client: Client, settings: Settings, kinds: Collection[Kind], way: Way) -> None:
        """`kinds`: those to watch, which are all that the cluster knows."""
        self._client, self._settings, self._kinds = client, settings, kinds
        self._reports = Reports(client, way)
        self._cache = Cache()
        self._queue: Queue[Key] = Queue()
        self._metrics = Metrics()
        self._identity = f"{socket.gethostname()}-{uuid.uuid4().hex[:8]}"
        self._leader = Leader(client, settings.leader_election, self._identity)
        self._audit = Audit(client, self._cache, self._queue, kinds, settings.watch_namespaces)
        self._activators = Activators(settings)
        self._observer = Observer(self._cache, self._reports, self._activators, settings, kinds, _now)
        self._reconciler = Reconciler(
            client,
            self._cache,
            self._observer,
            Zero(self._cache, self._reports, self._activators, settings, _now, self._queue.add_after),
            settings,
            kinds,
            self._metrics,
            _now,
            self._queue.give_way,
            self._queue.add_after,
        )
        self._works = False
        self._metrics.watch(
            depth=self._queue.depth, models=lambda: len(list(self._cache.models())), leads=lambda: self._leader.leads
        )

    async def run(self, stop: asyncio.Event) -> None:
        """Until `stop` is set. Raises what ended it before, e.g. LeadershipLost."""
        probes = {"/livez": probe(self._not_alive), "/readyz": probe(self._not_ready)}
        metrics = {"/metrics": text(self._metrics.text)}
        async with serving(self._settings.probe_port, probes), serving(self._settings.metrics_port, metrics):
            try:
                await first_of(self._lead(), stop.wait())
                if not stop.is_set():
                    await self._work(stop)
            finally:
                await self._leader.release()
                await self._reports.close()

    async def _lead(self) -> None:
        await check(self._client)
        if self._settings.leader_election.enabled:
            await self._leader.acquire()
        await prime(self._client, self._cache, self._kinds, self._settings.watch_namespaces)
        await self._activators.prime(self._client)
        self._look_at_all()

    async def _work(self, stop: asyncio.Event) -> None:
        settings = self._settings
        loops: list[Coroutine[Any, Any, None]] = [
            *(work(self._queue, self._reconciler.reconcile, self._metrics) for _ in range(settings.workers)),
            resync(self._queue, self._cache, settings.resync_seconds),
            self._audit.run(),
            self._watch(stop),
        ]
        if self._activators.exist:
            loops.append(self._activators.follow(self._client, self._look_at_all))
        if settings.autoscaling.backend == "keda":
            loops.append(await_change(self._client, self._kinds))
        if settings.leader_election.enabled:
            loops.append(self._leader.hold())
        self._works = True
        logger.info("working on %d models", len(list(self._cache.models())))
        await first_of(*loops)

    async def _watch(self, stop: asyncio.Event) -> None:
        namespaces = self._settings.watch_namespaces
        await kopf.operator(
            registry=watches.registry(self._client, self._cache, self._queue, self._kinds, self._observer.forget_pod),
            settings=watches.settings(self._kinds),
            clusterwide=not namespaces,
            namespaces=namespaces,
            stop_flag=stop,
            # Kopf would make one from the user's name, which a user of a container does not have.
            identity=self._identity,  # type: ignore[arg-type]  # a NewType that Kopf does not export
        )

    def _look_at_all(self) -> None:
        """At the start, and when the activator's pods are others, which every slice of a model has to say."""
        for key in self._cache.models():
            self._queue.add(key)

    def _not_alive(self) -> str | None:
        if self._audit.deaf:
            return f"no watch tells of {', '.join(self._audit.deaf)}"
        if (seconds := self._queue.stuck_for()) > _STUCK_AFTER:
            return f"no reconcile has finished for {seconds:.0f} s"
        return None

    def _not_ready(self) -> str | None:
        if self._works or self._leader.waits_for:  # a stand-by is as ready as it can be
            return None
        return "starting"


def _now() -> datetime:
    return datetime.now(UTC)


async def run(settings: Settings, kubeconfig: Path | None) -> None:
    """Run until SIGTERM or SIGINT. Raises OperatorError and OSError (a port that is taken)."""
    stop = told_to_end()
    async with await Client.connect(kubeconfig) as client:
        way = way_to_pods(settings.pod_access, kubeconfig)
        await Operator(client, settings, await known(client), way).run(stop)
