"""Another checkpoint in place of the one that is served, with scripted engines."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from forge_inference.engine.contract import Checkpoint, Chunk, Offer
from forge_inference.engine.errors import EngineFailed, LoadError
from forge_inference.engine.exchange import Exchange
from forge_inference.web.app import Parts
from tests.support.engines import LOADED, ScriptedEngine

LOAD, GENERATE = "/api/v1/load-model", "/api/v1/generate"
NEW = replace(LOADED, checkpoint=Checkpoint("sha256:bb", "org/base", 4, 8.0, ("q_proj",)))


async def until(true: Callable[[], Any]) -> None:
    async with asyncio.timeout(30):
        while not true():  # noqa: ASYNC110 - of tasks of this loop
            await asyncio.sleep(0.01)


async def state(api: httpx.AsyncClient, wanted: str) -> dict[str, Any]:
    """What GET tells, as soon as it tells of this state."""
    async with asyncio.timeout(30):
        while (found := (await api.get(LOAD)).json())["state"] != wanted:  # noqa: ASYNC110 - of tasks of this loop
            await asyncio.sleep(0.01)
    return dict(found)


def says(engine: ScriptedEngine, text: str) -> None:
    engine.script = lambda request: [Chunk(text, 5, -0.25, 3), Chunk("!", 0, -0.5, 3, finish="stop")]


async def answer(api: httpx.AsyncClient, **more: Any) -> tuple[str, str, str]:
    """The text, the model's name and the checkpoint's digest of an answer."""
    found = await api.post(GENERATE, json={"text": "x", **more})
    assert found.status_code == 200, found.text
    told = found.json()
    return told["results"][0]["text"], told["model"], told["provenance"]["checkpoint"]


OLD_ANSWER, NEW_ANSWER = ("old!", "hbb", "sha256:aa"), ("new!", "run-7", "sha256:bb")


@pytest.fixture(autouse=True)
def _old(engine: ScriptedEngine) -> None:
    says(engine, "old")


async def test_before_the_first_offer_there_is_nothing_to_tell(api: httpx.AsyncClient) -> None:
    found = (await api.get(LOAD)).json()
    assert found.pop("state") == "idle"
    assert set(found.values()) == {None}


async def test_the_model_of_before_answers_until_the_new_one_does(
    api: httpx.AsyncClient,
    admin: httpx.AsyncClient,
    engine: ScriptedEngine,
    successors: list[ScriptedEngine],
    roots: Path,
) -> None:
    told = await api.post(LOAD, json={"model_path": str(roots / "run-7"), "use_quantization": False})
    assert told.status_code == 202, told.text
    assert told.json()["state"] == "loading"
    await until(lambda: successors)
    [new] = successors
    says(new, "new")
    assert await answer(api) == OLD_ANSWER
    found = (await api.get(LOAD)).json()
    assert (found["stage"], found["model_path"]) == ("reading its part", str(roots / "run-7"))
    assert found["before"] == {"model": "hbb", "checkpoint": "sha256:aa"}
    assert (found["use_quantization"], found["after"], found["report"]) == (False, None, None)
    new.state = NEW
    found = await state(api, "done")
    assert found["after"] == {"model": "run-7", "checkpoint": "sha256:bb"}
    assert found["report"]["checkpoint"]["rank"] == 4
    assert (found["stage"], found["error"]) == (None, None)
    assert engine.is_stopped
    assert await answer(api) == NEW_ANSWER
    assert (await api.get("/")).json()["model"] == "run-7"
    assert (await api.get("/api/v1/health")).json()["checkpoint"] == "sha256:bb"
    assert [model["id"] for model in (await api.get("/v1/models")).json()["data"]] == ["run-7", "base"]
    assert (await api.post(GENERATE, json={"text": "x", "model": "hbb"})).status_code == 404
    assert (await admin.get("/report")).json()["model"] == "run-7"
    assert 'forge_model_info{device="cpu",model="run-7",plan="nf4"} 1.0' in (await admin.get("/metrics")).text


async def test_one_is_loaded_at_a_time(api: httpx.AsyncClient, successors: list[ScriptedEngine]) -> None:
    await api.post(LOAD, json={"model_path": "run-7"})
    refused = await api.post(LOAD, json={"model_path": "run-7"})
    assert refused.status_code == 409
    assert refused.json()["error"]["type"] == "Busy"
    assert "run-7 is loading (" in refused.json()["error"]["message"]
    assert int(refused.headers["retry-after"]) >= 1
    await until(lambda: successors)
    successors[0].state = NEW
    await state(api, "done")
    assert len(successors) == 1
    assert (await api.post(LOAD, json={"model_path": "run-7"})).status_code == 202


@pytest.mark.parametrize(
    ("why", "reason"),
    [
        (LoadError("CheckpointInvalid", "adapter_config.json is not JSON."), "CheckpointInvalid"),
        (EngineFailed("worker 0 ended with status 1; its log says why"), "EngineFailed"),
    ],
)
async def test_when_it_cannot_be_served_the_model_of_before_goes_on(
    api: httpx.AsyncClient, engine: ScriptedEngine, successors: list[ScriptedEngine], why: Exception, reason: str
) -> None:
    await api.post(LOAD, json={"model_path": "run-7"})
    await until(lambda: successors)
    successors[0].why = why
    found = await state(api, "failed")
    assert (found["error"]["type"], found["error"]["message"]) == (reason, str(why))
    assert (found["after"], found["before"]["model"]) == (None, "hbb")
    assert successors[0].is_stopped
    assert not engine.is_stopped
    assert await answer(api) == OLD_ANSWER
    assert (await api.post(LOAD, json={"model_path": "run-7"})).status_code == 202, "another try may follow"


async def test_what_nobody_expected_is_told_and_logged_too(
    api: httpx.AsyncClient, successors: list[ScriptedEngine], caplog: pytest.LogCaptureFixture
) -> None:
    def broken() -> None:
        raise OSError("Cannot allocate memory")

    await api.post(LOAD, json={"model_path": "run-7"})
    await until(lambda: successors)
    successors[0].loaded = broken  # type: ignore[method-assign]
    found = await state(api, "failed")
    assert found["error"]["message"] == "OSError: Cannot allocate memory"
    assert "Traceback" in caplog.text
    assert await answer(api) == OLD_ANSWER


async def test_a_request_has_all_of_its_answer_from_the_model_that_it_came_to(
    api: httpx.AsyncClient, engine: ScriptedEngine, successors: list[ScriptedEngine]
) -> None:
    engine.goes_on.clear()
    streamed = asyncio.create_task(api.post(GENERATE, json={"text": ["x", "y"], "stream": True}))
    whole = asyncio.create_task(answer(api, logprobs=True))
    await until(lambda: len(engine.requests) == 3)
    await api.post(LOAD, json={"model_path": "run-7"})
    await until(lambda: successors)
    says(successors[0], "new")
    successors[0].state = NEW
    found = await state(api, "finishing")
    assert found["stage"] == "hbb finishes what it has begun"
    assert found["after"]["model"] == "run-7"
    assert await answer(api) == NEW_ANSWER
    assert not engine.is_stopped
    assert (await api.post(LOAD, json={"model_path": "run-7"})).status_code == 409, "three would need memory"
    engine.goes_on.set()
    assert await whole == OLD_ANSWER
    *_, last, end = (await streamed).text.strip().split("\n\n")
    told = json.loads(last.removeprefix("data: "))
    assert end == "data: [DONE]"
    assert [result["text"] for result in told["results"]] == ["old!", "old!"]
    assert (told["model"], told["provenance"]["checkpoint"]) == ("hbb", "sha256:aa")
    await state(api, "done")
    assert engine.is_stopped


async def test_under_steady_requests_none_is_lost_and_each_is_answered_by_one_model(
    api: httpx.AsyncClient, successors: list[ScriptedEngine]
) -> None:
    answers: list[tuple[str, str, str]] = []
    enough = asyncio.Event()

    async def ask() -> None:
        while not enough.is_set():
            answers.append(await answer(api))
            await asyncio.sleep(0)

    clients = [asyncio.create_task(ask()) for _ in range(8)]
    for _ in range(3):
        await api.post(LOAD, json={"model_path": "run-7"})
        await until(lambda: successors and successors[-1].state is None)
        says(successors[-1], "new")
        successors[-1].state = NEW
        await state(api, "done")
    enough.set()
    await asyncio.gather(*clients)
    assert set(answers) == {OLD_ANSWER, NEW_ANSWER}
    assert answers == sorted(answers, key=NEW_ANSWER.__eq__), "none is of the old model after one of the new"


async def test_a_client_that_never_reads_does_not_keep_a_model_for_ever(
    engine: ScriptedEngine, caplog: pytest.LogCaptureFixture
) -> None:
    new = ScriptedEngine()
    exchange = Exchange("hbb", engine, lambda offer: ("run-7", new), longest_answer=-4.9)
    with exchange.held():
        exchange.offer(Offer(Path("run-7")))
        await until(lambda: exchange.offered().state == "done")  # type: ignore[union-attr]
        assert engine.is_stopped
        assert "hbb is stopped before all its answers were read" in caplog.text
        assert exchange.name == "hbb"
    assert exchange.name == "run-7"


async def test_adapters_that_were_loaded_beside_it_are_taken_along(
    api: httpx.AsyncClient, admin: httpx.AsyncClient, successors: list[ScriptedEngine], roots: Path
) -> None:
    for name in ("kept", "dropped"):
        await admin.post("/v1/load_lora_adapter", json={"lora_name": name, "lora_path": str(roots / name)})
    await admin.post("/v1/unload_lora_adapter", json={"lora_name": "dropped"})
    for refuses, wanted in ((True, "failed"), (False, "done")):
        await api.post(LOAD, json={"model_path": "run-7"})
        await until(lambda: successors and successors[-1].state is None)
        successors[-1].refuses = {"kept"} if refuses else set()
        successors[-1].state = NEW
        found = await state(api, wanted)
        if refuses:
            assert "adapter 'kept', which was loaded beside the model" in found["error"]["message"]
    assert successors[-1].beside == {"kept": roots / "kept"}
    assert [model["id"] for model in (await api.get("/v1/models")).json()["data"]] == ["run-7", "kept", "base"]


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ({}, 422, "model_path"),
        ({"model_path": ""}, 422, "model_path"),
        ({"model_path": 5}, 422, "model_path"),
        ({"model_path": "run-7", "use_quantization": "perhaps"}, 422, "use_quantization"),
        ({"model_path": "run-7", "quantize": True}, 422, "quantize"),
        ({"model_path": "run-8"}, 404, None),
        ({"model_path": "/etc"}, 403, None),
        ({"model_path": "../run-7"}, 403, None),
    ],
)
async def test_what_cannot_be_loaded_is_refused_before_anything_begins(
    api: httpx.AsyncClient, successors: list[ScriptedEngine], body: dict[str, Any], status: int, field: str | None
) -> None:
    refused = await api.post(LOAD, json=body)
    assert refused.status_code == status
    assert refused.json()["error"]["param"] == field
    assert (await api.get(LOAD)).json()["state"] == "idle"
    assert not successors


async def test_what_does_not_serve_yet_or_any_more_takes_no_offer(
    api: httpx.AsyncClient, engine: ScriptedEngine, successors: list[ScriptedEngine]
) -> None:
    engine.state = None
    assert (await api.post(LOAD, json={"model_path": "run-7"})).status_code == 503
    engine.state, engine.why = LOADED, EngineFailed("gone")
    assert (await api.post(LOAD, json={"model_path": "run-7"})).status_code == 503
    assert not successors


async def test_whoever_stops_the_server_stops_what_is_being_loaded(
    api: httpx.AsyncClient, parts: Parts, engine: ScriptedEngine, successors: list[ScriptedEngine]
) -> None:
    await api.post(LOAD, json={"model_path": "run-7"})
    await until(lambda: successors)
    parts.engine.stop()
    assert engine.is_stopped
    assert successors[0].is_stopped
