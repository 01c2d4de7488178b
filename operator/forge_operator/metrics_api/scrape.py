"""Asks every ready pod for its metrics, every few seconds, each on its own: none waits for another."""

import asyncio
import logging
import random
import time
from typing import Protocol, Self

import aiohttp

from forge_operator.children.shape import ADMIN_PORT
from forge_operator.cluster.client import Client, at_most, in_url
from forge_operator.cluster.errors import ClusterError
from forge_operator.cluster.kinds import POD
from forge_operator.metrics_api.exposition import read
from forge_operator.metrics_api.metrics import Metrics
from forge_operator.metrics_api.samples import Pod, Samples

logger = logging.getLogger(__name__)

INTERVAL = 5.0  # seconds from round to round
PATIENCE = 2.0  # seconds that one pod has for its answer
_SPREAD = INTERVAL / 2  # seconds over which the pods of a round are asked, so that no burst is late by itself
_AT_ONCE = 256  # pods whose answer is waited for; if all hang, so many are asked within PATIENCE
_LARGEST = 512 * 1024  # bytes; a pod says about 20,000


class Failed(Exception):
    """The pod said nothing of use; the argument is the cause, a word for a metric's label."""


class Asks(Protocol):
    """How a pod is asked."""

    async def fetch(self, pod: Pod) -> str:
        """Its metrics as text. Raises Failed."""


class Direct:
    """At the pod's own address. A pod's words are not trusted: no redirects, no compression, no endless body."""

    def __init__(self, port: int = ADMIN_PORT) -> None:
        self._port = port
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=_AT_ONCE),
            headers={"Accept": "text/plain;version=0.0.4", "Accept-Encoding": "identity"},
            timeout=aiohttp.ClientTimeout(total=None),
            auto_decompress=False,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def fetch(self, pod: Pod) -> str:
        """Raises Failed."""
        try:
            url = f"http://{in_url(pod.address)}:{self._port}/metrics"
            async with self._session.get(url, allow_redirects=False) as answer:
                if answer.status != 200:
                    raise Failed("status")
                return _text(await at_most(answer.content, _LARGEST))
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise Failed("unreachable") from error


class Proxied:
    """Through the API server, where pod addresses cannot be reached."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        return

    async def fetch(self, pod: Pod) -> str:
        """Raises Failed."""
        path = POD.path(pod.namespace, f"{pod.name}:{ADMIN_PORT}", "proxy/metrics")
        try:
            return _text(await self._client.read(path, largest=_LARGEST, timeout=PATIENCE))
        except ClusterError as error:
            if error.code == 403:
                logger.warning("%s", error)  # not the pod's fault: the message names the permission
            raise Failed("status" if error.code else "unreachable") from error


class Scraper:
    """Rounds over the ready pods."""

    def __init__(self, samples: Samples, asks: Asks, metrics: Metrics) -> None:
        self._samples, self._asks, self._metrics = samples, asks, metrics
        self._free = asyncio.Semaphore(_AT_ONCE)
        self._failing: dict[str, str] = {}  # uid of a pod to the cause
        self.last_round = 0.0  # when the last one ended, by the clock that only goes forward; 0: none did

    async def run(self) -> None:
        """For ever."""
        while True:
            begun = time.monotonic()
            await self.round()
            # Two replicas must not ask in step, nor all pods at the same moment of each round.
            pause = INTERVAL * random.uniform(0.9, 1.1)  # noqa: S311 - spreads load, hides nothing
            await asyncio.sleep(max(0.0, begun + pause - time.monotonic()))

    async def round(self, spread: float = _SPREAD) -> None:
        """Ask each ready pod once, over `spread` seconds."""
        begun = time.monotonic()
        pods = self._samples.pods()
        self._failing = {pod.uid: cause for pod in pods if (cause := self._failing.get(pod.uid))}
        await asyncio.gather(*(self._ask(pod, spread * place / len(pods)) for place, pod in enumerate(pods)))
        self.last_round = time.monotonic()
        if pods:
            self._metrics.round_seconds.observe(self.last_round - begun)

    async def _ask(self, pod: Pod, later: float) -> None:
        await asyncio.sleep(later)
        async with self._free:
            asked = time.monotonic()
            try:
                async with asyncio.timeout(PATIENCE):
                    text = await self._asks.fetch(pod)
                cause = "" if self._samples.add(pod, read(text), asked) else "unreadable"
            except TimeoutError:
                cause = "timeout"
            except Failed as failed:
                cause = str(failed)
        self._tell(pod, cause)

    def _tell(self, pod: Pod, cause: str) -> None:
        """Count each failure; a line when one begins, and when it ends."""
        if cause:
            self._metrics.failures.labels(cause).inc()
        before = self._failing.pop(pod.uid, "")
        if cause:
            self._failing[pod.uid] = cause
        if cause != before:
            model = {"model": f"{pod.namespace}/{pod.model}"}
            said = f"gives no metrics: {cause}" if cause else "gives metrics again"
            logger.log(logging.WARNING if cause else logging.INFO, "pod %s %s", pod.name, said, extra=model)


def _text(body: bytes) -> str:
    if len(body) >= _LARGEST:
        raise Failed("too large")
    return body.decode(errors="replace")
