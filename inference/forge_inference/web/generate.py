"""POST /api/v1/generate: one prompt, or several."""

import asyncio
import math
import time
from collections.abc import Coroutine
from contextlib import aclosing
from typing import Any
from uuid import uuid4

from fastapi import APIRouter, Request
from fastapi.responses import Response

from forge_inference.engine import contract
from forge_inference.engine.contract import Engine, Sampling
from forge_inference.engine.errors import EngineError
from forge_inference.telemetry.metrics import Metrics
from forge_inference.web import errors
from forge_inference.web.provenance import provenance
from forge_inference.web.schemas import Answer, Confidence, Generate, Result


def router(engine: Engine, metrics: Metrics, model: str) -> APIRouter:
    """The route, for an engine that may still be loading."""
    routes = APIRouter()

    @routes.post("/api/v1/generate", response_model_exclude_none=False)
    async def generate(body: Generate, request: Request) -> Answer:
        """Answer a prompt, or up to 64. Greedy unless a temperature is given."""
        start = time.monotonic()
        texts = [body.text] if isinstance(body.text, str) else body.text
        results = await _unless_left(request, _all(engine, metrics, body, texts))
        if isinstance(results, Response):
            return results  # type: ignore[return-value]  # nobody reads it
        return Answer(
            id=f"gen-{uuid4().hex[:24]}",
            model=model,
            results=results,
            usage=_usage(results),
            timing_ms=round((time.monotonic() - start) * 1000, 1),
            provenance=provenance(engine, body),
        )

    return routes


async def _all(engine: Engine, metrics: Metrics, body: Generate, texts: list[str]) -> list[Result]:
    """Raises the EngineError when every prompt was refused for the same reason."""
    answers = await asyncio.gather(*(_one(engine, metrics, body, i, text) for i, text in enumerate(texts)))
    refused = [answer for answer in answers if isinstance(answer, EngineError)]
    if len(refused) == len(answers) and len({errors.status_of(error) for error in refused}) == 1:
        raise refused[0]
    return [
        Result(index=i, logprobs=None, error=errors.body(type(answer).__name__, str(answer))["error"])
        if isinstance(answer, EngineError)
        else answer
        for i, answer in enumerate(answers)
    ]


async def _one(engine: Engine, metrics: Metrics, body: Generate, index: int, text: str) -> Result | EngineError:
    request = contract.Request(
        prompt=text,
        max_new_tokens=body.new_tokens,
        sampling=Sampling(body.temperature, body.top_p, body.top_k, seed=body.seed),
        stop=(body.stop,) if isinstance(body.stop, str) else tuple(body.stop),
        chat=body.chat,
        adapter=contract.CHECKPOINT if body.use_adapter else None,
    )
    try:
        async with aclosing(engine.generate(request)) as stream:
            chunks = [chunk async for chunk in stream]
    except EngineError as error:
        metrics.refused(type(error).__name__)
        return error
    metrics.generated(chunks[-1].prompt_tokens, len(chunks))
    # The token that ends the turn is no part of the answer, and would make short answers look surer.
    logprobs = [chunk.logprob for chunk in chunks if not chunk.closing]
    mean = math.fsum(logprobs) / len(logprobs) if logprobs else None
    return Result(
        index=index,
        text="".join(chunk.text for chunk in chunks),
        finish_reason=chunks[-1].finish,
        prompt_tokens=chunks[-1].prompt_tokens,
        completion_tokens=len(chunks),
        mean_logprob=mean,
        confidence=None if mean is None else Confidence(value=math.exp(mean), n_tokens=len(logprobs)),
        logprobs=logprobs if body.logprobs else None,
    )


def _usage(results: list[Result]) -> dict[str, int]:
    prompt = sum(result.prompt_tokens or 0 for result in results)
    completion = sum(result.completion_tokens or 0 for result in results)
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


async def _unless_left(request: Request, work: Coroutine[Any, Any, list[Result]]) -> list[Result] | Response:
    """The work's result; the work is cancelled when the client hangs up, which a plain handler would not notice."""
    task = asyncio.create_task(work)
    left = asyncio.create_task(_left(request))
    try:
        await asyncio.wait((task, left), return_when=asyncio.FIRST_COMPLETED)
        return await task if task.done() else Response(status_code=499)
    finally:
        for each in (task, left):
            each.cancel()
        await asyncio.gather(task, left, return_exceptions=True)


async def _left(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
