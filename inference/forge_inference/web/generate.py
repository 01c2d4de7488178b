"""POST /api/v1/generate: one prompt, or several."""

import asyncio
import math
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from uuid import uuid4

from fastapi import APIRouter, Request
from fastapi.responses import Response

from forge_inference.engine import contract
from forge_inference.engine.contract import Chunk, Engine, Sampling
from forge_inference.engine.errors import EngineError
from forge_inference.science.text.cleaning import clean
from forge_inference.science.text.document import Document
from forge_inference.telemetry.metrics import Metrics
from forge_inference.web import errors
from forge_inference.web.models import Models
from forge_inference.web.provenance import provenance
from forge_inference.web.schemas import Answer, Confidence, Generate, Result
from forge_inference.web.streams import DONE, event, sent, together, unless_left


def router(engine: Engine, metrics: Metrics, models: Models) -> APIRouter:
    """The route, for an engine that may still be loading."""
    routes = APIRouter()

    @routes.post("/api/v1/generate", response_model_exclude_none=False)
    async def generate(body: Generate, request: Request) -> Answer:
        """Answer a prompt, or up to 64. Greedy unless a temperature is given.

        With `stream`, server-sent events: for each token its prompt's `index` and `text`, then the whole answer as it
        would be without, then `[DONE]`.
        """
        start, name = time.monotonic(), body.model or models.name
        adapter = models.adapter(body.model)
        texts = [body.text] if isinstance(body.text, str) else body.text
        read = await asyncio.to_thread(_read, body, texts) if body.preprocess == "scientific" else []
        requests = [_request(body, text, adapter) for text in ([each.clean for each in read] or texts)]

        def answer(results: list[Result]) -> Answer:
            for result, document in zip(results, read, strict=False):  # nothing was read unless it was asked for
                result.preprocessing = dict(document.edits)
            return Answer(
                id=f"gen-{uuid4().hex[:24]}",
                model=name,
                results=results,
                usage=_usage(results),
                timing_ms=round((time.monotonic() - start) * 1000, 1),
                provenance=provenance(engine, body),
            )

        async def events() -> AsyncGenerator[str, None]:
            chunks: list[list[Chunk]] = [[] for _ in requests]
            async with aclosing(together(engine, metrics, requests)) as stream:
                async for number, chunk in stream:
                    chunks[number].append(chunk)
                    yield event({"index": number, "text": chunk.text, "token": chunk.token, "logprob": chunk.logprob})
            yield event(answer([_result(metrics, body, i, of) for i, of in enumerate(chunks)]).model_dump())
            yield DONE

        if body.stream:
            return await sent(request, events(), {})  # type: ignore[return-value]  # FastAPI passes a response on
        results = await unless_left(request, _all(engine, metrics, body, requests))
        return results if isinstance(results, Response) else answer(results)  # type: ignore[return-value]

    return routes


def _read(body: Generate, texts: list[str]) -> list[Document]:
    """The prompts as scientific text is read."""
    return [clean(text, strip_citations=body.strip_citations) for text in texts]


def _request(body: Generate, text: str, adapter: str | None) -> contract.Request:
    return contract.Request(
        prompt=text,
        max_new_tokens=body.new_tokens,
        sampling=Sampling(
            body.temperature,
            body.top_p,
            body.top_k,
            body.min_p,
            body.repetition_penalty,
            body.presence_penalty,
            body.frequency_penalty,
            body.seed,
        ),
        stop=(body.stop,) if isinstance(body.stop, str) else tuple(body.stop),
        chat=body.chat,
        adapter=adapter if body.use_adapter else None,
    )


async def _all(engine: Engine, metrics: Metrics, body: Generate, requests: list[contract.Request]) -> list[Result]:
    """Raises the EngineError when every prompt was refused for the same reason."""
    answers = await asyncio.gather(*(_one(engine, metrics, body, i, request) for i, request in enumerate(requests)))
    refused = [answer for answer in answers if isinstance(answer, EngineError)]
    if len(refused) == len(answers) and len({errors.status_of(error) for error in refused}) == 1:
        raise refused[0]
    return [
        Result(index=i, logprobs=None, error=errors.body(type(answer).__name__, str(answer))["error"])
        if isinstance(answer, EngineError)
        else answer
        for i, answer in enumerate(answers)
    ]


async def _one(
    engine: Engine, metrics: Metrics, body: Generate, index: int, request: contract.Request
) -> Result | EngineError:
    try:
        async with aclosing(metrics.timed(engine.generate(request))) as stream:
            chunks = [chunk async for chunk in stream]
    except EngineError as error:
        return error
    return _result(metrics, body, index, chunks)


def _result(metrics: Metrics, body: Generate, index: int, chunks: list[Chunk]) -> Result:
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
