"""Requests for a model at zero: held, woken for, answered or refused. Sockets and HTTP are real."""

import asyncio

import aiohttp
import pytest
from aiohttp import web

from forge_operator.cluster.errors import Forbidden
from forge_operator.cluster.watch import Listed
from tests.operator.activator.stage import Stage, greets, soon


async def test_a_request_wakes_the_model_and_gets_its_answer() -> None:
    async with Stage().playing() as stage:
        await stage.woken_by()
        assert await stage.post({"text": "HBB"}, "/v1/completions?x=%2F") == (200, {"greeting": "hello"})
        [asked] = stage.asked
        assert (asked.method, asked.path, asked.body) == ("POST", "/v1/completions?x=%2F", b'{"text": "HBB"}')
        assert stage.sleeper.wakes == 1
        assert stage.counted("answered") == 1


async def test_fifty_clients_at_once_wake_it_once_and_all_are_answered() -> None:
    async with Stage().playing() as stage:
        port = await stage.pod()
        clients = [asyncio.create_task(stage.post({"text": str(number)})) for number in range(50)]
        await stage.held(50)
        assert stage.sleeper.wakes == 1
        stage.ready(port)
        assert await asyncio.gather(*clients) == [(200, {"greeting": "hello"})] * 50
        assert len({asked.body for asked in stage.asked}) == 50, "each was sent once"
        assert stage.room.held() == 0


async def test_one_too_many_is_refused_at_once_and_the_others_stay() -> None:
    async with Stage(most_held=2).playing() as stage:
        port = await stage.pod()
        clients = [asyncio.create_task(stage.post()) for _ in range(2)]
        await stage.held(2)
        async with stage.client.post(f"{stage.url}/api/v1/generate", json={}) as answer:
            assert answer.status == 503
            assert int(answer.headers["Retry-After"]) > 0
            said = (await answer.json())["error"]
        assert said["type"] == said["code"] == "TooManyHeld"
        assert "2 requests wait" in said["message"]
        stage.ready(port)
        assert [status for status, _ in await asyncio.gather(*clients)] == [200, 200]


async def test_held_too_long_is_refused_with_the_reason_of_the_model() -> None:
    async with Stage(hold_seconds=0.2).playing() as stage, stage.client.post(stage.url, json={}) as answer:
        assert answer.status == 503
        assert "Retry-After" in answer.headers
        error = (await answer.json())["error"]
        assert error["type"] == "NoPodInTime"
        assert "No node has enough nvidia.com/gpu left" in error["message"]
        assert stage.room.held() == 0


async def test_a_cluster_that_refuses_the_wake_is_quoted() -> None:
    async with Stage(hold_seconds=0.2).playing() as stage:
        stage.sleeper.refusal = Forbidden("User cannot patch resource deployments/scale", 403)
        status, body = await stage.post()
        assert status == 503
        assert "cannot patch resource deployments/scale" in body["error"]["message"]


async def test_a_model_that_was_put_back_to_zero_while_somebody_waits_is_woken_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("forge_operator.activator.waker._LOOK_AGAIN", 0.05)
    async with Stage().playing() as stage:
        port = await stage.pod()
        client = asyncio.create_task(stage.post())
        await stage.held(1)
        stage.sleeper.on_wake = lambda: stage.ready(port)
        stage.sleeper.replicas = 0  # whoever scales down had looked before the request came
        assert (await client)[0] == 200
        assert stage.sleeper.wakes == 2


async def test_a_client_that_leaves_frees_its_seat() -> None:
    async with Stage(most_held=1).playing() as stage:
        client = asyncio.create_task(stage.post({"text": "a" * 300_000}))
        await stage.held(1)
        client.cancel()
        await stage.held(0)
        await stage.woken_by()
        stage.sleeper.replicas = 0
        assert (await stage.post())[0] == 200
        assert len(stage.asked) == 1, "what the client left was never sent"
        assert stage.room.bytes == 0


@pytest.mark.parametrize("path", ["/", "/docs", "/v1/models/hbb-expert"])
async def test_looking_wakes_nobody(path: str) -> None:
    async with Stage().playing() as stage, stage.client.get(f"{stage.url}{path}") as answer:
        assert answer.status == 503
        assert (await answer.json())["error"]["type"] == "Asleep"
        assert stage.sleeper.looks == 0


async def test_health_and_the_list_of_models_answer_for_a_model_asleep() -> None:
    async with Stage().playing() as stage:
        async with stage.client.get(f"{stage.url}/api/v1/health") as answer:
            assert (answer.status, (await answer.json())["status"]) == (200, "asleep")
        async with stage.client.get(f"{stage.url}/v1/models?limit=1") as answer:
            assert [each["id"] for each in (await answer.json())["data"]] == ["hbb-expert"]
        assert stage.sleeper.looks == 0


async def test_a_request_that_comes_by_while_pods_serve_is_passed_on() -> None:
    async with Stage().playing() as stage:
        stage.ready(await stage.pod())
        async with stage.client.get(f"{stage.url}/docs") as answer:
            assert (answer.status, await answer.json()) == (200, {"greeting": "hello"})
            assert answer.headers["Connection"] == "close", "the next connection shall reach a pod itself"
        assert stage.sleeper.looks == 0


async def test_the_port_of_a_model_that_is_gone_is_closed() -> None:
    async with Stage().playing() as stage:
        stage.table.take(Listed([]))
        await soon(lambda: not stage.listens())


async def test_at_the_end_held_requests_are_answered_and_new_ones_find_no_door() -> None:
    stage = Stage()
    ending = asyncio.Event()

    async def play() -> None:
        async with stage.playing():
            started.set()
            await ending.wait()

    started = asyncio.Event()
    playing = asyncio.create_task(play())
    await started.wait()
    port = await stage.pod()
    client = asyncio.create_task(stage.post())
    await stage.held(1)
    ending.set()
    await soon(lambda: not stage.listens())
    stage.ready(port)
    assert (await client)[0] == 200
    await playing


async def test_at_the_end_what_takes_too_long_is_torn_off() -> None:
    never = asyncio.Event()

    async def silent(_: web.BaseRequest) -> web.StreamResponse:
        await never.wait()
        return await greets(_)

    async with Stage().playing(drain_seconds=0.2) as stage:
        stage.ready(await stage.pod(silent))
        client = asyncio.create_task(stage.post())
        await soon(lambda: stage.asked)
    with pytest.raises(aiohttp.ClientError):
        await client
