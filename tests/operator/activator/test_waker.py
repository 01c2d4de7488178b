"""What is asked of the API server to wake a model. The server is a script; the real one is in tests/controlplane."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web

from forge_operator.activator.table import Place, Target
from forge_operator.activator.waker import Deployments
from forge_operator.cluster.errors import Conflict
from tests.support.api_server import a_client_of

TARGET = Target(Place("lab", "hbb-1a2b"), "HBB", "uid-7")
SCALE = "/apis/apps/v1/namespaces/lab/deployments/hbb-1a2b/scale"


class ApiServer:
    """One Deployment's scale, and what was written."""

    def __init__(self) -> None:
        self.scale: dict[str, Any] = {"metadata": {**TARGET.place._asdict(), "resourceVersion": "41"}, "spec": {}}
        self.model: dict[str, Any] = {}
        self.conflicts = False
        self.written: list[tuple[str, str, Any]] = []

    async def answer(self, request: web.Request) -> web.Response:
        if request.method == "GET":
            return web.json_response(self.scale if request.path == SCALE else self.model)
        self.written.append((request.method, request.path, await request.json()))
        return web.json_response({}, status=409 if self.conflicts else 200)


@pytest.fixture
async def talk() -> AsyncIterator[tuple[ApiServer, Deployments]]:
    found = ApiServer()
    async with a_client_of(found.answer) as client:
        yield found, Deployments(client)


Talk = tuple[ApiServer, Deployments]


async def test_a_model_at_zero_is_set_to_one_as_it_was_seen_and_an_event_says_so(talk: Talk) -> None:
    server, deployments = talk
    assert await deployments.wake(TARGET)
    [scaled, told] = server.written
    assert scaled == ("PATCH", SCALE, {"metadata": {"resourceVersion": "41"}, "spec": {"replicas": 1}})
    assert told[2]["regarding"]["name"] == "HBB"
    assert (told[2]["reason"], told[2]["note"]) == ("Woken", "Woken by a request.")


async def test_a_model_that_has_pods_is_left_as_it_is(talk: Talk) -> None:
    server, deployments = talk
    server.scale["spec"]["replicas"] = 3
    assert not await deployments.wake(TARGET)
    assert server.written == []


async def test_whoever_set_another_number_meanwhile_is_not_overruled(talk: Talk) -> None:
    server, deployments = talk
    server.conflicts = True
    with pytest.raises(Conflict):
        await deployments.wake(TARGET)


async def test_why_a_model_is_not_up_is_what_its_status_says(talk: Talk) -> None:
    server, deployments = talk
    assert await deployments.trouble(TARGET) == ""
    server.model = {"status": {"conditions": [{"type": "Ready", "reason": "Unschedulable", "message": "No node."}]}}
    assert await deployments.trouble(TARGET) == "Unschedulable: No node."
