"""Both apps with a scripted engine, through real HTTP messages."""

import asyncio
import logging
import math
import re
from dataclasses import replace
from typing import Any

import httpx
import pytest

from forge_inference.engine.contract import Chunk, Request
from forge_inference.engine.errors import (
    DeadlineExceeded,
    EngineError,
    EngineFailed,
    InvalidRequest,
    NotReady,
    Overloaded,
    PromptTooLong,
)
from forge_inference.web.app import Parts, create_app
from forge_inference.web.middleware import BODY_LIMIT
from tests.support.engines import LOADED, ScriptedEngine

GENERATE = "/api/v1/generate"


def _error(kind: str, message: str) -> dict[str, str | None]:
    return {"type": kind, "message": message, "param": None, "code": kind}


async def test_a_prompt_is_answered_with_where_the_answer_comes_from(api: httpx.AsyncClient) -> None:
    answer = await api.post(GENERATE, json={"text": "What is HBB?", "logprobs": True})
    assert answer.status_code == 200
    found = answer.json()
    [result] = found["results"]
    assert (result["text"], result["finish_reason"], result["completion_tokens"]) == ("HBB binds", "stop", 3)
    assert result["mean_logprob"] == pytest.approx(-0.5), "the token that ends the turn does not count"
    assert result["confidence"]["value"] == pytest.approx(math.exp(-0.5))
    assert result["confidence"]["calibrated"] is False
    assert result["logprobs"] == [-0.25, -0.75]
    assert found["usage"] == {"prompt_tokens": 3, "completion_tokens": 3, "total_tokens": 6}
    assert found["provenance"]["checkpoint"] == "sha256:aa"
    assert answer.headers["x-request-id"]


async def test_an_empty_answer_has_no_confidence(api: httpx.AsyncClient, engine: ScriptedEngine) -> None:
    engine.script = lambda request: [Chunk("", 0, -0.1, 3, closing=True, finish="stop")]
    [result] = (await api.post(GENERATE, json={"text": "x"})).json()["results"]
    assert (result["text"], result["mean_logprob"], result["confidence"]) == ("", None, None)


async def test_every_parameter_reaches_the_engine(api: httpx.AsyncClient, engine: ScriptedEngine) -> None:
    body = {"text": "x", "max_length": 5, "temperature": 0.5, "top_p": 0.9, "top_k": 3, "seed": 7, "stop": "."}
    await api.post(GENERATE, json={**body, "use_adapter": False, "chat": False})
    [request] = engine.requests
    assert (request.max_new_tokens, request.stop, request.adapter, request.chat) == (5, (".",), None, False)
    sampling = request.sampling
    assert (sampling.temperature, sampling.top_p, sampling.top_k, sampling.seed) == (0.5, 0.9, 3, 7)


async def test_a_batch_keeps_its_order_and_tells_errors_one_by_one(
    api: httpx.AsyncClient, engine: ScriptedEngine
) -> None:
    def script(request: Request) -> list[Chunk]:
        if request.prompt == "bad":
            raise PromptTooLong("too many tokens")
        return [Chunk(request.prompt, 1, -0.1, 1, finish="length")]

    engine.script = script
    answer = await api.post(GENERATE, json={"text": ["a", "bad", "c"]})
    assert answer.status_code == 200
    results = answer.json()["results"]
    assert [result["text"] for result in results] == ["a", None, "c"]
    assert results[1]["error"] == _error("PromptTooLong", "too many tokens")
    whole = await api.post(GENERATE, json={"text": ["bad", "bad"]})
    assert whole.status_code == 422


@pytest.mark.parametrize(
    ("error", "status", "retry"),
    [
        (Overloaded("full", 3.2), 429, "4"),
        (NotReady("loading"), 503, "5"),
        (PromptTooLong("long"), 422, None),
        (InvalidRequest("empty"), 422, None),
        (DeadlineExceeded("late"), 504, None),
        (EngineFailed("gone"), 503, None),
    ],
)
async def test_an_engines_error_has_its_status(
    api: httpx.AsyncClient, engine: ScriptedEngine, error: EngineError, status: int, retry: str | None
) -> None:
    def script(request: Request) -> list[Chunk]:
        raise error

    engine.script = script
    answer = await api.post(GENERATE, json={"text": "x"})
    assert answer.status_code == status
    assert answer.json()["error"] == _error(type(error).__name__, str(error))
    assert answer.headers.get("retry-after") == retry


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"text": "x", "temprature": 1}, "temprature"),
        ({"text": 5}, "text"),
        ({}, "text"),
        ({"text": []}, "text"),
        ({"text": ["x"] * 65}, "text"),
        ({"text": "x", "top_p": 2}, "top_p"),
        ({"text": "x", "temperature": -1}, "temperature"),
        ({"text": "x", "max_new_tokens": 0}, "max_new_tokens"),
        ({"text": "x", "stop": [""]}, "stop"),
    ],
)
async def test_a_wrong_body_names_the_field(api: httpx.AsyncClient, body: dict[str, Any], field: str) -> None:
    answer = await api.post(GENERATE, json=body)
    assert answer.status_code == 422
    assert str(answer.json()["error"]["param"]).startswith(field)


async def test_other_wrong_requests_have_the_same_shape(api: httpx.AsyncClient) -> None:
    large = await api.post(GENERATE, content=b"x" * (BODY_LIMIT + 1))
    broken = await api.post(GENERATE, content=b"{", headers={"content-type": "application/json"})
    answers = [await api.get("/nothing"), await api.get(GENERATE), large, broken]
    assert [answer.status_code for answer in answers] == [404, 405, 413, 422]
    assert all(answer.json()["error"]["message"] for answer in answers)


async def test_a_client_that_leaves_frees_its_place(parts: Parts, engine: ScriptedEngine) -> None:
    engine.script = None
    app, left = create_app(parts, []), asyncio.Event()
    sent: list[Any] = []
    body = {"type": "http.request", "body": b'{"text": "x"}', "more_body": False}

    async def receive() -> Any:
        if body:
            return {**body, **dict.fromkeys(())} if not sent_body.is_set() and not sent_body.set() else await gone()
        return await gone()

    async def gone() -> Any:
        await left.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    sent_body = asyncio.Event()
    scope = {
        "type": "http",
        "method": "POST",
        "path": GENERATE,
        "raw_path": GENERATE.encode(),
        "root_path": "",
        "scheme": "http",
        "query_string": b"",
        "headers": [(b"content-type", b"application/json")],
        "http_version": "1.1",
    }
    running = asyncio.create_task(app(scope, receive, send))
    async with asyncio.timeout(30):
        while not engine.requests:  # noqa: ASYNC110 - the app runs meanwhile
            await asyncio.sleep(0)
    left.set()
    async with asyncio.timeout(30):
        await engine.closed.wait()
    await running


async def test_the_server_says_what_it_is_and_how(api: httpx.AsyncClient) -> None:
    await api.post(GENERATE, json={"text": "x"})
    assert (await api.get("/")).json()["model"] == "hbb"
    health = (await api.get("/api/v1/health")).json()
    assert (health["status"], health["checkpoint"], health["error_rate"]) == ("ok", "sha256:aa", 0)
    assert health["response_time_ms"]["p50"] is not None
    assert (await api.get("/api/v1/metrics")).json()["max_queue"] == 64
    assert (await api.get("/v1/models")).json()["data"][0]["id"] == "hbb"
    assert "/api/v1/generate" in (await api.get("/openapi.json")).json()["paths"]


async def test_web_pages_that_were_named_may_ask(api: httpx.AsyncClient) -> None:
    asked = await api.get("/", headers={"Origin": "https://lab.example"})
    assert asked.headers["access-control-allow-origin"] == "https://lab.example"
    other = await api.get("/", headers={"Origin": "https://elsewhere.example"})
    assert "access-control-allow-origin" not in other.headers


async def test_neither_prompts_nor_answers_are_logged(api: httpx.AsyncClient, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        await api.post(GENERATE, json={"text": "unpublished manuscript"})
    assert "unpublished" not in caplog.text
    assert "HBB binds" not in caplog.text
    assert "/api/v1/generate 200" in caplog.text


async def test_probes_follow_the_engine(admin: httpx.AsyncClient, parts: Parts, engine: ScriptedEngine) -> None:
    async def codes() -> list[int]:
        return [(await admin.get(path)).status_code for path in ("/livez", "/startupz", "/readyz", "/report")]

    assert await codes() == [200, 200, 200, 200]
    parts.draining = True
    assert await codes() == [200, 200, 503, 200]
    parts.draining = False
    engine.state = None
    assert await codes() == [200, 503, 503, 503]
    engine.is_alive = False
    assert (await admin.get("/livez")).status_code == 503


async def test_prometheus_reads_counts_and_no_prompt(admin: httpx.AsyncClient, api: httpx.AsyncClient) -> None:
    await api.post(GENERATE, json={"text": "unpublished"})
    await api.get("/unpublished")
    text = (await admin.get("/metrics")).text
    assert 'forge_requests_total{route="/api/v1/generate",status="200"} 1.0' in text
    assert 'forge_tokens_total{kind="completion"} 3.0' in text
    assert "unpublished" not in text
    assert "forge_gpu" not in text or "forge_gpu_memory_total_bytes" in text


async def test_people_read_the_same_as_json(api: httpx.AsyncClient, engine: ScriptedEngine) -> None:
    def full(request: Request) -> list[Chunk]:
        raise Overloaded("full", 3.2)

    await api.post(GENERATE, json={"text": ["x", "y"]})
    engine.script = full
    await api.post(GENERATE, json={"text": "x"})
    found = (await api.get("/api/v1/metrics")).json()
    assert found["tokens"] == {"prompt": 6, "completion": 6}
    assert found["refusals"] == {"Overloaded": 1}
    assert (found["plan"], found["device"], found["adapters_loaded"]) == ("nf4", "cpu", 1)
    assert found["mean_batch"] is None, "no step was made"
    assert found["time_to_first_token_ms"]["p50"] is not None


async def test_the_documentation_needs_nothing_from_elsewhere(api: httpx.AsyncClient) -> None:
    page = (await api.get("/docs")).text
    found = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert len(found) >= 2
    for place in found:
        assert place.startswith("/docs/files/")
        assert (await api.get(place)).status_code == 200


async def test_a_whole_model_stands_on_no_base_model(api: httpx.AsyncClient, engine: ScriptedEngine) -> None:
    assert [model["id"] for model in (await api.get("/v1/models")).json()["data"]] == ["hbb", "base"]
    whole = replace(LOADED.checkpoint, kind="model", rank=None, alpha=None, target_modules=(), folder="merged")
    engine.state = replace(LOADED, checkpoint=whole, effect=None)
    assert [model["id"] for model in (await api.get("/v1/models")).json()["data"]] == ["hbb"]
    assert (await api.post(GENERATE, json={"text": "x", "model": "base"})).status_code == 404
    found = (await api.post(GENERATE, json={"text": "x"})).json()["provenance"]
    assert (found["folder"], found["adapter_effect"], found["quantization_match"]) == ("merged", None, "Unknown")
    assert (await api.get("/api/v1/health")).json()["adapter_effect"] is None
