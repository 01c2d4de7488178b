"""The life of the process: learn which pods there are, ask them, and tell what they said."""

import time
from asyncio import Event
from collections.abc import Coroutine
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from forge_operator.cluster.client import Client
from forge_operator.cluster.reports import way_to_pods
from forge_operator.handlers.probes import listening
from forge_operator.handlers.together import first_of, told_to_end
from forge_operator.metrics_api import documents, plain
from forge_operator.metrics_api.api import Api
from forge_operator.metrics_api.identity import Identity
from forge_operator.metrics_api.keeper import Keeper
from forge_operator.metrics_api.metrics import Metrics
from forge_operator.metrics_api.permission import Permissions
from forge_operator.metrics_api.pods import Pods
from forge_operator.metrics_api.samples import Samples
from forge_operator.metrics_api.scrape import Asks, Direct, Proxied, Scraper
from forge_operator.metrics_api.tls import Front
from forge_operator.settings import Settings

_STUCK_AFTER = 30.0  # seconds without a finished round; one takes 5 at most


@dataclass(frozen=True, slots=True)
class Place:
    """Where this process is found: its Service's name, and its two ports."""

    service: str
    port: int
    plain_port: int


class Server:
    """The parts, and how they meet."""

    def __init__(self, client: Client, asks: Asks, settings: Settings, place: Place) -> None:
        self._place = place
        # With KEDA nobody asks by custom.metrics.k8s.io: another provider may serve it.
        self._registered = settings.autoscaling.backend == "hpa"
        self._samples, self._metrics, self._front = Samples(), Metrics(), Front()
        self._pods = Pods(client, self._samples, settings.watch_namespaces)
        self._scraper = Scraper(self._samples, asks, self._metrics)
        self._api = Api(self._samples, self._front, Permissions(client, documents.GROUP), self._metrics)
        keeper = Keeper(
            client, settings.operator_namespace, place.service, settings.cluster_domain, documents.API_SERVICES
        )
        self._identity = Identity(client, keeper, self._front, self._metrics)
        self._started = time.monotonic()
        self._metrics.watch(
            pods=lambda: len(self._samples.pods()),
            fresh=lambda metric: self._samples.fresh(metric, time.monotonic()),
        )

    async def run(self, stop: Event) -> None:
        """Until `stop` is set. Raises OSError when a port is taken."""
        loops: list[Coroutine[Any, Any, Any]] = [stop.wait(), self._pods.run(), self._scraper.run()]
        if self._registered:
            loops.append(self._identity.run())
        about = plain.application(self._samples, self._metrics, self._not_alive, self._not_ready)
        api = listening(self._api.application(), self._place.port, self._front.context)
        async with listening(about, self._place.plain_port), api if self._registered else nullcontext():
            await first_of(*loops)

    def _not_alive(self) -> str | None:
        late = time.monotonic() - max(self._started, self._scraper.last_round)
        return f"no round over the pods has ended for {late:.0f} s" if late > _STUCK_AFTER else None

    def _not_ready(self) -> str | None:
        if not self._pods.listed:
            return "pods are not listed yet; the log says what is in the way"
        if not self._scraper.last_round:
            return "no pod was asked yet"
        return self._identity.trouble if self._registered else None


async def run(settings: Settings, kubeconfig: Path | None, place: Place) -> None:
    """Run until SIGTERM or SIGINT. Raises OperatorError and OSError (a port that is taken)."""
    stop = told_to_end()
    direct = way_to_pods(settings.pod_access, kubeconfig) == "direct"
    async with await Client.connect(kubeconfig) as client, Direct() if direct else Proxied(client) as asks:
        await Server(client, asks, settings, place).run(stop)
