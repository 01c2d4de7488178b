"""The activator with real sockets: a model that sleeps, the pods that it may have, and clients."""

import asyncio
import random
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from aiohttp import web
from yarl import URL

from forge_operator.activator.doors import opened
from forge_operator.activator.metrics import Metrics
from forge_operator.activator.pods import Pods
from forge_operator.activator.proxy import Proxy
from forge_operator.activator.room import Room
from forge_operator.activator.table import Table, Target
from forge_operator.activator.waker import Waker
from forge_operator.children.activation import PORTS
from forge_operator.cluster.errors import ClusterError
from forge_operator.cluster.watch import Listed
from tests.support.ports import free_port
from tests.support.slices import our_slice, pod_slice

Answer = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


@dataclass
class Asked:
    """What a pod was asked."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class Sleeper:
    """A Deployment. `on_wake` is what happens when it is set to 1."""

    def __init__(self) -> None:
        self.replicas = 0
        self.looks = 0
        self.wakes = 0
        self.refusal: ClusterError | None = None
        self.words = "Unschedulable: No node has enough nvidia.com/gpu left."
        self.on_wake: Callable[[], None] = lambda: None

    async def wake(self, target: Target) -> bool:
        self.looks += 1
        if self.refusal:
            raise self.refusal
        if self.replicas:
            return False
        self.replicas, self.wakes = 1, self.wakes + 1
        self.on_wake()
        return True

    async def trouble(self, target: Target) -> str:
        return self.words


@dataclass
class Stage:
    """One model; its clients' URL is `url`."""

    hold_seconds: float = 5.0
    most_held: int = 100
    table: Table = field(default_factory=Table)
    sleeper: Sleeper = field(default_factory=Sleeper)
    asked: list[Asked] = field(default_factory=list)
    port: int = 0
    _pods: AsyncExitStack = field(default_factory=AsyncExitStack)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @asynccontextmanager
    async def playing(self, drain_seconds: float = 5.0) -> AsyncIterator["Stage"]:
        """The activator listens, and knows a model that has no pod."""
        self.room, self.metrics = Room(self.most_held), Metrics()
        self.port = _free_port_of_ours()
        self.table.take(Listed([our_slice(self.port), pod_slice()]))
        async with (
            self._pods,
            aiohttp.ClientSession() as self.client,
            Pods() as pods,
            Waker(self.sleeper, self.table, self.room) as waker,
        ):
            proxy = Proxy(self.table, self.room, waker, pods, self.metrics, self.hold_seconds)
            async with opened(self.table, proxy.handle, drain_seconds):
                await soon(self.listens)
                yield self

    def listens(self) -> bool:
        """Whether the model's port takes connections."""
        with socket.socket() as client:
            return client.connect_ex(("127.0.0.1", self.port)) == 0

    async def pod(self, answer: Answer | None = None) -> int:
        """A pod's server on a port of its own, of which nobody knows until `ready`."""

        async def told(request: web.BaseRequest) -> web.StreamResponse:
            body = await request.content.read()
            self.asked.append(Asked(request.method, request.raw_path, dict(request.headers), body))
            return await (answer or greets)(request)

        server = web.Server(told, handler_cancellation=True, access_log=None)
        runner = web.ServerRunner(server, shutdown_timeout=0.1)
        await runner.setup()
        self._pods.push_async_callback(runner.cleanup)
        port = free_port()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        return port

    def ready(self, *ports: int) -> None:
        """Kubernetes says that these pods take requests."""
        slices = [pod_slice(("127.0.0.1", port), name=f"of-{port}") for port in ports]
        self.table.take(Listed([our_slice(self.port), *slices]))

    async def woken_by(self, answer: Answer | None = None) -> int:
        """From now on a wake makes a pod ready at once; its port."""
        port = await self.pod(answer)
        self.sleeper.on_wake = lambda: self.ready(port)
        return port

    async def post(self, body: Any = None, path: str = "/api/v1/generate") -> tuple[int, Any]:
        """Status and JSON of an answer."""
        url = URL(f"{self.url}{path}", encoded=True)
        async with self.client.post(url, json=body or {"text": "gene"}) as answer:
            return answer.status, await answer.json()

    async def held(self, number: int) -> None:
        """Return once so many requests wait."""
        await soon(lambda: self.room.held() == number)

    def counted(self, outcome: str) -> float:
        return self.metrics.registry.get_sample_value("forge_activator_requests_total", {"outcome": outcome}) or 0.0


async def soon(condition: Callable[[], object], limit: float = 60.0) -> None:
    """Return once it is true. Raises TimeoutError."""
    async with asyncio.timeout(limit):
        while not condition():  # noqa: ASYNC110 - what is awaited tells nobody
            await asyncio.sleep(0.01)


async def greets(_: web.BaseRequest) -> web.StreamResponse:
    return web.json_response({"greeting": "hello"})


def _free_port_of_ours() -> int:
    for port in random.sample(PORTS, len(PORTS)):
        with socket.socket() as found, suppress(OSError):
            found.bind(("127.0.0.1", port))
            return port
    raise AssertionError("all ports are taken")
