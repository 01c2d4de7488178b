"""POST /api/v1/papers/analyze: what a paper says, each piece with its place in the text."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import asdict, replace

from fastapi import APIRouter, Request, Response
from fastapi.routing import APIRoute
from starlette.routing import Match
from starlette.types import Scope

from forge_inference.engine import contract
from forge_inference.engine.contract import Engine, Sampling
from forge_inference.engine.errors import EngineError
from forge_inference.science.papers.parts import shown
from forge_inference.telemetry.metrics import Metrics
from forge_inference.web import errors
from forge_inference.web.middleware import media_type
from forge_inference.web.models import Models
from forge_inference.web.paper_intake import Intake, from_pdf
from forge_inference.web.paper_report import report
from forge_inference.web.paper_schemas import Analyze, Item, Paper, Papers
from forge_inference.web.provenance import RESEARCH_ONLY
from forge_inference.web.reading import Progress, Read, Reader
from forge_inference.web.streams import DONE, event, sent, unless_left

PATH = "/api/v1/papers/analyze"
_PDF = {"requestBody": {"content": {"application/pdf": {"schema": {"type": "string", "format": "binary"}}}}}


class _OfPdfs(APIRoute):
    """Takes bodies that are a PDF, and leaves all others to the next route of the same path."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        return super().matches(scope) if media_type(scope) == "application/pdf" else (Match.NONE, {})


def router(engine: Engine, metrics: Metrics, models: Models) -> APIRouter:
    """The route, for an engine that may still be loading."""
    routes, intake = APIRouter(), Intake()

    async def pdf(request: Request, response: Response) -> Paper | Papers:
        """The same of a PDF: it is the body, and what would be fields are parameters of the address."""
        return await analyze(await from_pdf(request), request, response)

    # First: what this route leaves is JSON.
    routes.add_api_route(PATH, pdf, methods=["POST"], include_in_schema=False, route_class_override=_OfPdfs)

    @routes.post(PATH, response_model_exclude_none=False, openapi_extra=_PDF)
    async def analyze(body: Analyze, request: Request, response: Response) -> Paper | Papers:
        """Summary, key findings, methodology, benchmarks, limitations, reporting and statistics of papers, up to 16.

        A PDF may be the body itself, as application/pdf; the fields are then parameters of the address.
        With `stream`, server-sent events: `stage`, `done` and `total` while it is read, then the whole result as it
        would be without, then `[DONE]`. Events about one of several papers have its `index`.
        """
        response.headers.update(RESEARCH_ONLY)
        if body.papers is not None:
            several = _several(engine, metrics, models, intake, body)
            if body.stream:
                return await sent(request, _events(several), RESEARCH_ONLY)  # type: ignore[return-value]  # FastAPI passes it on
            return await unless_left(request, _all(several))  # type: ignore[return-value]
        steps = _steps(engine, metrics, models, intake, body)
        if body.stream:
            return await sent(request, _events(steps), RESEARCH_ONLY)  # type: ignore[return-value]
        return await unless_left(request, _last(steps))  # type: ignore[return-value]

    return routes


async def _several(
    engine: Engine, metrics: Metrics, models: Models, intake: Intake, body: Analyze
) -> AsyncGenerator[Progress | Item, None]:
    """One paper after the other: what is wrong with one is told with it, and the next is read."""
    for index, one in enumerate(body.each):
        try:
            async with aclosing(_steps(engine, metrics, models, intake, one)) as steps:
                async for step in steps:
                    yield Item(index=index, analysis=step) if isinstance(step, Paper) else replace(step, index=index)
        except EngineError as error:
            yield Item(index=index, error=errors.told(error)["error"])


async def _all(several: AsyncGenerator[Progress | Item, None]) -> Papers:
    async with aclosing(several):
        return Papers(results=[step async for step in several if isinstance(step, Item)])


async def _steps(
    engine: Engine, metrics: Metrics, models: Models, intake: Intake, body: Analyze
) -> AsyncGenerator[Progress | Paper, None]:
    """Progress, then the result. Whatever can be refused is refused before the first progress."""
    start, name, adapter = time.monotonic(), body.model or models.name, models.adapter(body.model)
    by_rule = await intake.read(body)
    read = Read()
    if body.use_model and (sentences := shown(by_rule.paper, body.analyses)):
        reader = Reader(engine, metrics, by_rule.paper, _template(body, adapter), body.style)
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
    result = await asyncio.to_thread(report, engine, body, name, by_rule, read)
    yield result.model_copy(update={"timing_ms": round((time.monotonic() - start) * 1000, 1)})


def _template(body: Analyze, adapter: str | None) -> contract.Request:
    sampling = Sampling(temperature=body.temperature, top_p=body.top_p, seed=body.seed)
    adapter = adapter if body.use_adapter else None
    return contract.Request("", body.max_new_tokens, sampling, adapter=adapter, patient=True)


async def _last(steps: AsyncGenerator[Progress | Paper, None]) -> Paper:
    async with aclosing(steps):
        async for step in steps:
            if isinstance(step, Paper):
                return step
    raise AssertionError("the steps end with the result")


async def _events(
    steps: AsyncGenerator[Progress | Paper, None] | AsyncGenerator[Progress | Item, None],
) -> AsyncGenerator[str, None]:
    async with aclosing(steps):
        async for step in steps:
            yield event(asdict(step) if isinstance(step, Progress) else step.model_dump())
    yield DONE
