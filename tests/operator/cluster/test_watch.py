"""A watch against a server that says what a test tells it to; the real one is in tests/controlplane."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web

from forge_operator.cluster import watch
from forge_operator.cluster.kinds import ENDPOINT_SLICE
from forge_operator.cluster.watch import Changed, Listed, Watch
from tests.support.api_server import a_client_of


class ApiServer:
    """Lists, and what each watch tells before it ends: lines, raw text, or a status."""

    def __init__(self) -> None:
        self.lists: list[dict[str, Any] | int] = []
        self.watches: list[list[dict[str, Any]] | int | str] = []
        self.asked: list[dict[str, str]] = []

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(dict(request.query))
        script = self.watches if "watch" in request.query else self.lists
        said = script.pop(0) if script else await asyncio.Event().wait()
        if isinstance(said, int):
            return web.json_response({"message": "no"}, status=said)
        if isinstance(said, dict):
            return web.json_response(said)
        if isinstance(said, str):
            return web.Response(text=said)
        return web.Response(text="".join(f"{json.dumps(line)}\n" for line in said or []))


@pytest.fixture
async def api(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[ApiServer, Watch]]:
    monkeypatch.setattr(watch, "_pauses", lambda: iter([0] * 100))
    found = ApiServer()
    async with a_client_of(found.answer) as client:
        yield found, Watch(client, ENDPOINT_SLICE, "lab", "a=b")


def page(*names: str, version: str = "10", more: str = "") -> dict[str, Any]:
    items = [{"metadata": {"name": name, "resourceVersion": "1"}} for name in names]
    return {"metadata": {"resourceVersion": version, "continue": more}, "items": items}


def line(kind: str, name: str, version: str) -> dict[str, Any]:
    return {"type": kind, "object": {"metadata": {"name": name, "resourceVersion": version}}}


async def heard(told: Watch, number: int) -> list[tuple[str, list[str]]]:
    found: list[tuple[str, list[str]]] = []
    stream = told.follow()
    async with asyncio.timeout(30):
        async for seen in stream:
            match seen:
                case Listed(things):
                    found.append(("listed", [thing["metadata"]["name"] for thing in things]))
                case Changed(thing, gone):
                    found.append(("gone" if gone else "changed", [thing["metadata"]["name"]]))
            if len(found) == number:
                break
    await stream.aclose()  # type: ignore[attr-defined]  # an AsyncGenerator is what it is
    return found


async def test_a_list_of_pages_and_then_changes(api: tuple[ApiServer, Watch]) -> None:
    server, told = api
    server.lists = [page("a", more="next"), page("b", version="12")]
    server.watches = [[line("ADDED", "c", "13"), line("DELETED", "a", "14")]]
    assert await heard(told, 3) == [("listed", ["a", "b"]), ("changed", ["c"]), ("gone", ["a"])]
    assert server.asked[0]["labelSelector"] == "a=b"
    assert server.asked[2]["resourceVersion"] == "12"


async def test_a_watch_that_ends_goes_on_where_it_was(api: tuple[ApiServer, Watch]) -> None:
    server, told = api
    server.lists = [page()]
    server.watches = [[line("BOOKMARK", "", "77")], [line("ADDED", "c", "78")]]
    assert await heard(told, 2) == [("listed", []), ("changed", ["c"])]
    assert [query["resourceVersion"] for query in server.asked if "watch" in query] == ["10", "77"]


@pytest.mark.parametrize("end", [410, [{"type": "ERROR", "object": {"code": 410, "message": "too old"}}]])
async def test_after_a_break_everything_is_listed_again(api: tuple[ApiServer, Watch], end: Any) -> None:
    server, told = api
    server.lists, server.watches = [page("a"), 500, page("b")], [end]
    assert await heard(told, 2) == [("listed", ["a"]), ("listed", ["b"])]


async def test_a_line_that_is_cut_is_a_break(api: tuple[ApiServer, Watch]) -> None:
    server, told = api
    server.lists, server.watches = [page("a"), page("b")], ['{"type": "ADDED", "obj']
    assert await heard(told, 2) == [("listed", ["a"]), ("listed", ["b"])]
