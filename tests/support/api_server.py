"""An API server of a few objects, over HTTP: for programs that use the real client."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestServer
from kubernetes.aio.client import Configuration

from forge_operator.cluster.client import Client

Manifest = dict[str, Any]


class ApiServer:
    """`objects` by path; a test may write into them. `refused`: path to the code and message that is answered there."""

    def __init__(self) -> None:
        self.objects: dict[str, Manifest] = {}
        self.refused: dict[str, tuple[int, str]] = {}
        self.texts: dict[str, str] = {}  # what is no object: a pod's words through the proxy
        self.asked: list[str] = []
        self.queries: list[dict[str, str]] = []
        self.before_write: Callable[[], object] = lambda: None  # another client that is faster, once
        self.events: asyncio.Queue[Manifest | None] = asyncio.Queue()  # of watches; None ends one
        self._version = 100

    def put(self, path: str, thing: Manifest) -> Manifest:
        """As another client's write."""
        self._version += 1
        meta = {**thing.get("metadata", {}), "resourceVersion": str(self._version)}
        self.objects[path] = {**thing, "metadata": meta}
        return self.objects[path]

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(f"{'WATCH' if 'watch' in request.query else request.method} {request.path}")
        self.queries.append(dict(request.query))
        if refusal := self.refused.get(request.path):
            return web.json_response({"kind": "Status", "message": refusal[1]}, status=refusal[0])
        if text := self.texts.get(request.path):
            return web.Response(text=text)
        if "watch" in request.query:
            return await self._watch(request)
        if request.path.endswith("/pods"):
            items = [thing for path, thing in self.objects.items() if path.startswith(f"{request.path}/")]
            return web.json_response({"metadata": {"resourceVersion": str(self._version)}, "items": items})
        found = self.objects.get(request.path)
        if found is None:
            return web.json_response({"kind": "Status", "message": "not found"}, status=404)
        if request.method == "PATCH":
            assert request.content_type == "application/merge-patch+json"
            first, self.before_write = self.before_write, lambda: None
            first()
            found = self.objects[request.path]
            change = await request.json()
            if change["metadata"].pop("resourceVersion") != found["metadata"]["resourceVersion"]:
                return web.json_response({"kind": "Status", "message": "modified"}, status=409)
            found = self.put(request.path, _merged(found, change))
        return web.json_response(found)

    async def _watch(self, request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        while event := await self.events.get():
            await answer.write(json.dumps(event).encode() + b"\n")
        return answer


@asynccontextmanager
async def an_api_server() -> AsyncIterator[tuple[ApiServer, Client]]:
    """It, and a client of it."""
    server = ApiServer()
    async with a_client_of(server.answer) as client:
        yield server, client


@asynccontextmanager
async def a_client_of(answer: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> AsyncIterator[Client]:
    """A client of an API server of which every path is answered so."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    async with TestServer(app) as running:
        configuration = Configuration()
        configuration.host = str(running.make_url("")).rstrip("/")
        async with Client(configuration) as client:
            yield client


def _merged(old: Any, new: Any) -> Any:
    """RFC 7386, as far as nothing is removed."""
    if not isinstance(old, dict) or not isinstance(new, dict):
        return new
    return {**old, **{key: _merged(old.get(key), value) for key, value in new.items()}}
