"""POST /api/v1/papers/analyze: what a paper says, each piece with its place in the text."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import asdict

from fastapi import APIRouter, Request

from forge_inference.engine import contract
from forge_inference.engine.contract import Engine, Sampling
from forge_inference.engine.errors import InvalidRequest
from forge_inference.science.papers.intake import refused
from forge_inference.science.papers.jats import BadJats, text_of
from forge_inference.science.papers.parts import shown
from forge_inference.telemetry.metrics import Metrics
from forge_inference.web.models import Models
from forge_inference.web.paper_report import Rules, report, rules
from forge_inference.web.paper_schemas import Analyze, Paper
from forge_inference.web.reading import Progress, Read, Reader
from forge_inference.web.streams import DONE, event, sent, unless_left


def router(engine: Engine, metrics: Metrics, models: Models) -> APIRouter:
    """The route, for an engine that may still be loading."""
    routes = APIRouter()

    @routes.post("/api/v1/papers/analyze", response_model_exclude_none=False)
    async def analyze(body: Analyze, request: Request) -> Paper:
        """Summary, key findings, methodology, benchmarks, limitations, reporting and statistics of one paper.

        With `stream`, server-sent events: `stage`, `done` and `total` while it is read, then the whole result as it
        would be without, then `[DONE]`.
        """
        steps = _steps(engine, metrics, models, body)
        if body.stream:
            return await sent(request, _events(steps), {})  # type: ignore[return-value]  # FastAPI passes a response on
        return await unless_left(request, _last(steps))  # type: ignore[return-value]  # or a response, which passes

    return routes


async def _steps(
    engine: Engine, metrics: Metrics, models: Models, body: Analyze
) -> AsyncGenerator[Progress | Paper, None]:
    """Progress, then the result. Whatever can be refused is refused before the first progress."""
    start, name, adapter = time.monotonic(), body.model or models.name, models.adapter(body.model)
    # In a thread, so that short requests are answered meanwhile.
    text = await asyncio.to_thread(_text, body)
    by_rule: Rules = await asyncio.to_thread(rules, text, body.analyses)
    read = Read()
    if body.use_model and (sentences := shown(by_rule.paper, body.analyses)):
        reader = Reader(engine, metrics, by_rule.paper, _template(body, adapter))
        read, summarise = reader.found, "summary" in body.analyses
        parts = await reader.plan(sentences, body.max_model_calls, extra=int(summarise))
        yield Progress("read", 1, 1)
        async with aclosing(reader.map(parts)) as progress:
            async for step in progress:
                yield step
        if summarise:
            await reader.reduce(parts)
            yield Progress("reduce", 1, 1)
    metrics.read("papers", "answered")
    for outcome, times in Counter([*(each.reason for each in read.rejected), *["kept"] * read.kept]).items():
        metrics.read("papers", outcome, times)
    result = report(engine, body, name, by_rule, read)
    yield result.model_copy(update={"timing_ms": round((time.monotonic() - start) * 1000, 1)})


def _text(body: Analyze) -> str:
    try:
        text = body.text if body.jats_xml is None else text_of(body.jats_xml)
    except BadJats as error:
        raise InvalidRequest(f"jats_xml: {error}") from error
    if why := refused(text or ""):
        raise InvalidRequest(f"{'text' if body.jats_xml is None else 'jats_xml'}: {why}")
    return text or ""


def _template(body: Analyze, adapter: str | None) -> contract.Request:
    sampling = Sampling(temperature=body.temperature, top_p=body.top_p, seed=body.seed)
    return contract.Request("", body.max_new_tokens, sampling, adapter=adapter if body.use_adapter else None)


async def _last(steps: AsyncGenerator[Progress | Paper, None]) -> Paper:
    async with aclosing(steps):
        async for step in steps:
            if isinstance(step, Paper):
                return step
    raise AssertionError("the steps end with the result")


async def _events(steps: AsyncGenerator[Progress | Paper, None]) -> AsyncGenerator[str, None]:
    async with aclosing(steps):
        async for step in steps:
            yield event(step.model_dump() if isinstance(step, Paper) else asdict(step))
    yield DONE
