"""POST /v1/chat/completions."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from pydantic import Field

from forge_inference.engine import contract
from forge_inference.engine.contract import Chunk, Engine
from forge_inference.engine.errors import InvalidRequest
from forge_inference.telemetry.metrics import Metrics
from forge_inference.web.models import Models
from forge_inference.web.openai import Parameters, Turn, head, shown, usage
from forge_inference.web.streams import DONE, event, sent, together, unless_left


class Chat(Parameters):
    """A conversation to continue."""

    messages: list[Turn] = Field(min_length=1, max_length=1024)
    max_completion_tokens: int | None = Field(None, ge=1, le=1_048_576)
    logprobs: bool | None = None
    top_logprobs: int | None = Field(None, ge=0, le=20)
    tools: list[Any] | None = None
    functions: list[Any] | None = None

    def request(self, adapter: str | None, number: int) -> contract.Request:
        """What the engine is asked for the answer with this number."""
        if self.tools or self.functions:
            raise InvalidRequest("tools: this server calls no tools; ask without them")
        return contract.Request(
            prompt=tuple(turn.message() for turn in self.messages),
            max_new_tokens=self.max_completion_tokens or self.max_tokens,
            sampling=self.sampling(number),
            stop=self.stops(),
            adapter=adapter,
            ignore_eos=bool(self.ignore_eos),
            top_logprobs=self.top_logprobs or 0,
        )


def router(engine: Engine, metrics: Metrics, models: Models) -> APIRouter:
    """The route."""
    routes = APIRouter()

    @routes.post("/v1/chat/completions")
    async def chat(body: Chat, request: Request) -> Response:
        """The model's next turn, as OpenAI's clients ask for it. Without `max_tokens`, as long as there is room."""
        adapter = models.adapter(body.model)
        requests = [body.request(adapter, number) for number in range(body.n or 1)]
        name = body.model or models.name
        if body.stream:
            return await sent(request, _events(engine, metrics, body, requests, name), body.ignored())
        found = await unless_left(request, _gathered(engine, metrics, requests))
        if isinstance(found, Response):
            return found
        choices = [_choice(engine, body, number, chunks) for number, chunks in enumerate(found)]
        counts = usage(found[0][-1].prompt_tokens, sum(map(len, found)))
        whole = {**head("chat.completion", name, "chatcmpl"), "choices": choices, "usage": counts}
        return JSONResponse(whole, headers=body.ignored())

    return routes


async def _gathered(engine: Engine, metrics: Metrics, requests: list[contract.Request]) -> list[list[Chunk]]:
    found: list[list[Chunk]] = [[] for _ in requests]
    async with aclosing(together(engine, metrics, requests)) as stream:
        async for number, chunk in stream:
            found[number].append(chunk)
    for chunks in found:
        metrics.generated(chunks[-1].prompt_tokens, len(chunks))
    return found


def _choice(engine: Engine, body: Chat, number: int, chunks: list[Chunk]) -> dict[str, Any]:
    text = "".join(chunk.text for chunk in chunks)
    return {
        "index": number,
        "message": {"role": "assistant", "content": text, "refusal": None},
        "logprobs": {"content": [_told(engine, body, chunk) for chunk in shown(chunks)]} if body.logprobs else None,
        "finish_reason": chunks[-1].finish,
    }


def _told(engine: Engine, body: Chat, chunk: Chunk) -> dict[str, Any]:
    others = [_token(engine, token, logprob) for token, logprob in chunk.top[: body.top_logprobs or 0]]
    return {**_token(engine, chunk.token, chunk.logprob), "top_logprobs": others}


def _token(engine: Engine, token: int, logprob: float) -> dict[str, Any]:
    text = engine.text_of([token])
    return {"token": text, "logprob": logprob, "bytes": list(text.encode())}


async def _events(
    engine: Engine, metrics: Metrics, body: Chat, requests: list[contract.Request], name: str
) -> AsyncGenerator[str, None]:
    top = head("chat.completion.chunk", name, "chatcmpl")
    more = {"usage": None} if body.tells_usage else {}
    counts, prompt, met = [0] * len(requests), 0, set[int]()
    async with aclosing(together(engine, metrics, requests)) as stream:
        async for number, chunk in stream:
            counts[number] += 1
            prompt = chunk.prompt_tokens
            delta: dict[str, Any] = {"content": chunk.text}
            if number not in met:
                met.add(number)
                delta = {"role": "assistant", **delta}
            told = {"content": [_told(engine, body, chunk)]} if body.logprobs and not chunk.closing else None
            choice = {"index": number, "delta": delta, "logprobs": told, "finish_reason": chunk.finish}
            yield event({**top, "choices": [choice], **more})
    for count in counts:
        metrics.generated(prompt, count)
    if body.tells_usage:
        yield event({**top, "choices": [], "usage": usage(prompt, sum(counts))})
    yield DONE
