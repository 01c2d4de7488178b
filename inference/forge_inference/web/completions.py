"""POST /v1/completions."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Annotated, Any, Self

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from pydantic import Field, model_validator

from forge_inference.engine import contract
from forge_inference.engine.contract import Chunk, Engine, Scored
from forge_inference.telemetry.metrics import Metrics
from forge_inference.web.models import Models
from forge_inference.web.openai import Parameters, head, shown, usage
from forge_inference.web.schemas import Text
from forge_inference.web.streams import DONE, event, sent, together, unless_left

Id = Annotated[int, Field(ge=0, le=2**31 - 1)]
Ids = Annotated[list[Id], Field(min_length=1, max_length=1_000_000)]
_DEFAULT_TOKENS = 16  # OpenAI's


class Completion(Parameters):
    """One text or several to go on with, as text or as token ids."""

    prompt: Text | Ids | Annotated[list[Text] | list[Ids], Field(min_length=1, max_length=64)]
    logprobs: int | None = Field(None, ge=0, le=20)
    echo: bool | None = None
    best_of: int | None = Field(None, ge=1)
    suffix: str | None = None

    @model_validator(mode="after")
    def _what_is_served(self) -> Self:
        if self.suffix:
            raise ValueError("suffix: text is only continued, not filled in")
        if (self.best_of or 1) > (self.n or 1):
            raise ValueError("best_of: ask for n answers and choose among them")
        if self.max_tokens == 0 and not self.echo:
            raise ValueError("max_tokens: 0 needs echo, or there is nothing to answer")
        if self.echo and self.stream:
            raise ValueError("echo: not with stream")
        return self

    def prompts(self) -> list[str | tuple[int, ...]]:
        """One of each."""
        if isinstance(self.prompt, str):
            return [self.prompt]
        if isinstance(self.prompt[0], int):
            return [tuple(token for token in self.prompt if isinstance(token, int))]
        return [tuple(each) if isinstance(each, list) else str(each) for each in self.prompt]

    def requests(self, adapter: str | None) -> list[contract.Request]:
        """n for each prompt."""
        tokens = _DEFAULT_TOKENS if self.max_tokens is None else self.max_tokens
        return [
            contract.Request(
                prompt=prompt,
                max_new_tokens=tokens,
                sampling=self.sampling(number),
                stop=self.stops(),
                chat=False,
                adapter=adapter,
                ignore_eos=bool(self.ignore_eos),
                top_logprobs=self.logprobs or 0,
            )
            for prompt in self.prompts()
            for number in range(self.n or 1)
        ]


def router(engine: Engine, metrics: Metrics, models: Models) -> APIRouter:
    """The route."""
    routes = APIRouter()

    @routes.post("/v1/completions")
    async def complete(body: Completion, request: Request) -> Response:
        """Go on with a text, as OpenAI's clients ask for it. `echo` and `logprobs` tell how likely a given text is."""
        requests, name = body.requests(models.adapter(body.model)), body.model or models.name
        if body.stream:
            return await sent(request, _events(engine, metrics, body, requests, name), body.ignored())
        answers = asyncio.gather(*(_choice(engine, metrics, body, i, each) for i, each in enumerate(requests)))
        found = await unless_left(request, _awaited(answers))
        if isinstance(found, Response):
            return found
        prompts = sum(prompt for _, prompt, _ in found[:: body.n or 1])
        counts = usage(prompts, sum(count for _, _, count in found))
        choices = [choice for choice, _, _ in found]
        whole = {**head("text_completion", name, "cmpl"), "choices": choices, "usage": counts}
        return JSONResponse(whole, headers=body.ignored())

    return routes


async def _awaited(answers: Any) -> Any:
    return await answers


async def _choice(
    engine: Engine, metrics: Metrics, body: Completion, number: int, request: contract.Request
) -> tuple[dict[str, Any], int, int]:
    """The choice, the prompt's tokens, the answer's."""
    scored: tuple[Scored, ...] = ()
    chunks: list[Chunk] = []
    if body.echo:
        scored = await engine.score(request)
    if request.max_new_tokens:
        async with aclosing(metrics.timed(engine.generate(request))) as stream:
            chunks = [chunk async for chunk in stream]
    prompt = len(scored) or chunks[-1].prompt_tokens
    metrics.generated(prompt, len(chunks))
    before = engine.text_of([each.token for each in scored]) if scored else ""
    if isinstance(request.prompt, str) and scored:
        before = request.prompt
    choice = {
        "index": number,
        "text": before + "".join(chunk.text for chunk in chunks),
        "logprobs": None if body.logprobs is None else _logprobs(engine, body.logprobs, [*scored, *shown(chunks)]),
        "finish_reason": chunks[-1].finish if chunks else "length",
    }
    return choice, prompt, len(chunks)


def _logprobs(engine: Engine, top: int, tokens: list[Scored | Chunk], offset: int = 0) -> dict[str, Any]:
    texts = [engine.text_of([each.token]) for each in tokens]
    offsets = []
    for text in texts:
        offsets.append(offset)
        offset += len(text)
    likeliest = [
        None if each.logprob is None else {engine.text_of([token]): logprob for token, logprob in each.top[:top]}
        for each in tokens
    ]
    return {
        "tokens": texts,
        "token_logprobs": [each.logprob for each in tokens],
        "top_logprobs": likeliest,
        "text_offset": offsets,
    }


async def _events(
    engine: Engine, metrics: Metrics, body: Completion, requests: list[contract.Request], name: str
) -> AsyncGenerator[str, None]:
    top = head("text_completion", name, "cmpl")
    more = {"usage": None} if body.tells_usage else {}
    counts, prompts, offsets = [0] * len(requests), [0] * len(requests), [0] * len(requests)
    async with aclosing(together(engine, metrics, requests)) as stream:
        async for number, chunk in stream:
            counts[number] += 1
            prompts[number] = chunk.prompt_tokens
            told = None
            if body.logprobs is not None and not chunk.closing:
                told = _logprobs(engine, body.logprobs, [chunk], offsets[number])
            offsets[number] += len(chunk.text)
            choice = {"index": number, "text": chunk.text, "logprobs": told, "finish_reason": chunk.finish}
            yield event({**top, "choices": [choice], **more})
    for prompt, count in zip(prompts, counts, strict=True):
        metrics.generated(prompt, count)
    if body.tells_usage:
        yield event({**top, "choices": [], "usage": usage(sum(prompts[:: body.n or 1]), sum(counts))})
    yield DONE
