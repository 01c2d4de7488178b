"""A server that is to do some tasks and not others, through real HTTP messages."""

from collections.abc import Sequence

import httpx
import pytest

from forge_inference.tasks import TASKS, Task
from forge_inference.web.app import Parts, create_app

ROUTES: dict[Task, list[str]] = {
    "generate": ["/api/v1/generate", "/v1/completions", "/v1/chat/completions"],
    "genomics": ["/api/v1/genomics/query"],
    "papers": ["/api/v1/papers/analyze"],
}
REST = ["/v1/models", "/tokenizer_info", "/api/v1/health"]  # of no task


def _serving(parts: Parts, *tasks: Task) -> httpx.AsyncClient:
    parts.tasks = tasks
    return httpx.AsyncClient(transport=httpx.ASGITransport(create_app(parts, [])), base_url="http://api")


@pytest.mark.parametrize("off", TASKS)
async def test_a_task_that_is_off_is_refused_by_name_with_the_field_that_turns_it_on(parts: Parts, off: Task) -> None:
    on = [task for task in TASKS if task != off]
    async with _serving(parts, *on) as api:
        for route in ROUTES[off]:
            answer = await api.post(route, json={"any": "thing"})
            error = answer.json()["error"]
            assert (answer.status_code, error["type"], error["code"]) == (403, "Forbidden", "Forbidden")
            assert f"The task {off} is off" in error["message"]
            assert ", ".join(on) in error["message"]
            assert "spec.serving.tasks" in error["message"]
            assert "--tasks (FORGE_TASKS)" in error["message"]


@pytest.mark.parametrize("on", [("generate",), ("genomics", "papers"), TASKS])
async def test_only_what_is_on_is_documented(parts: Parts, on: Sequence[Task]) -> None:
    async with _serving(parts, *on) as api:
        documented = set((await api.get("/openapi.json")).json()["paths"])
        start = (await api.get("/")).json()
    there = {route for task in on for route in ROUTES[task]}
    gone = {route for task, routes in ROUTES.items() if task not in on for route in routes}
    assert there | set(REST) <= documented
    assert there | set(REST) <= set(start["paths"])
    assert gone & (documented | set(start["paths"])) == set()
    assert start["tasks"] == list(on)


async def test_what_is_on_answers_and_so_do_the_routes_of_no_task(parts: Parts) -> None:
    async with _serving(parts, "generate") as api:
        assert (await api.post("/api/v1/generate", json={"text": "x"})).status_code == 200
        assert [(await api.get(route)).status_code for route in REST] == [200] * 3
        assert (await api.post("/tokenize", json={"prompt": "x"})).status_code == 200


async def test_a_method_that_no_route_takes_is_still_told_as_that(parts: Parts) -> None:
    async with _serving(parts, "papers") as api:
        assert (await api.get("/api/v1/genomics/query")).status_code == 405


async def test_refusals_are_counted_under_their_route(parts: Parts) -> None:
    async with _serving(parts, "papers") as api:
        await api.post("/api/v1/generate", json={"text": "x"})
    assert 'forge_requests_total{route="/api/v1/generate",status="403"} 1.0' in parts.metrics.text().decode()
