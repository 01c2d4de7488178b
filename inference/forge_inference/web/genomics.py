"""POST /api/v1/genomics/query: a question, the texts it may be answered from, and an answer that can be checked."""

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from pydantic import ValidationError

from forge_inference.engine import contract
from forge_inference.engine.contract import Chunk, Engine, Sampling
from forge_inference.engine.errors import EngineError, InvalidRequest
from forge_inference.science.concepts.finding import Finder
from forge_inference.science.genomics import context as contexts
from forge_inference.science.genomics.confidence import agreement
from forge_inference.science.genomics.profiles import Profile
from forge_inference.science.genomics.questions import Question, prompt
from forge_inference.science.text.intake import refused
from forge_inference.telemetry.metrics import Metrics
from forge_inference.web import errors
from forge_inference.web.asking import Fitted, Option, fitted, options
from forge_inference.web.calibration import answering
from forge_inference.web.genomics_report import Asked, Written, report
from forge_inference.web.genomics_schemas import Asked as Body
from forge_inference.web.genomics_schemas import GenomicsAnswer, GenomicsAnswers, Queries, Query
from forge_inference.web.models import Models
from forge_inference.web.provenance import RESEARCH_ONLY
from forge_inference.web.streams import DONE, event, sent, together, unless_left

_STOP = ("\nQuestion:",)  # where a model without turns goes on to ask itself


def router(
    engine: Engine, metrics: Metrics, models: Models, finder: Finder, profiles: tuple[Profile, ...] = ()
) -> APIRouter:
    """The route; `finder` knows the names of genes and of what else is looked for."""
    routes = APIRouter()

    def asking(body: Query) -> "_Asking":
        name = body.model or models.name
        return _Asking(engine, metrics, body, models.adapter(body.model), name, finder, profiles)

    @routes.post("/api/v1/genomics/query", response_model=GenomicsAnswer | GenomicsAnswers)
    async def query(body: Body, request: Request) -> Response:
        """Answer a question about genes, pathways, disease or drug targets; for research only.

        Citations are exact spans of the given texts. Told apart are: what supports a claim, what the model named and
        nobody gave, how the confidence was come by. With `stream`: events of the type `answer.delta`, then one of the
        type `result`, then `[DONE]`. `{"requests": [...]}`, or a list, asks several: each has an answer or an error.
        """
        if not isinstance(body, Query):
            several = body.requests if isinstance(body, Queries) else body
            work = asyncio.gather(*(_one_of(asking, index, each) for index, each in enumerate(several)))
            answer = await unless_left(request, _all(work))
        elif body.stream:
            return await sent(request, asking(body).events(), RESEARCH_ONLY)
        else:
            answer = await unless_left(request, asking(body).whole())
        return answer if isinstance(answer, Response) else JSONResponse(answer, headers=RESEARCH_ONLY)

    return routes


async def _all(work: "asyncio.Future[list[dict[str, Any]]]") -> dict[str, Any]:
    return {"object": "genomics.answers", "results": await work}


async def _one_of(asking: Callable[[Query], "_Asking"], index: int, asked: dict[str, Any]) -> dict[str, Any]:
    """One of several: an error is told in its place."""
    try:
        body = Query.model_validate(asked)
        if body.stream:
            raise InvalidRequest("stream: one question at a time")
        return {"index": index, "answer": await asking(body).whole(), "error": None}
    except ValidationError as error:
        faults = ("; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors()))[:2000]
        return {"index": index, "answer": None, **errors.body("InvalidRequest", faults)}
    except EngineError as error:
        return {"index": index, "answer": None, **errors.told(error)}


class _Asking:
    """One question on its way."""

    def __init__(
        self,
        engine: Engine,
        metrics: Metrics,
        body: Query,
        adapter: str | None,
        model: str,
        finder: Finder,
        profiles: tuple[Profile, ...],
    ) -> None:
        self._engine, self._metrics, self._body, self._finder = engine, metrics, body, finder
        self._profiles = profiles
        self._adapter, self._model = adapter if body.use_adapter else None, model
        self._start = time.monotonic()
        self._answering = answering(engine, self._adapter)  # now: an adapter may be unloaded before the answer ends
        self._question = Question(
            body.query,
            body.query_type,
            f"{body.organism.name} (NCBI taxon {body.organism.ncbi_taxon_id})",
            body.genome_assembly,
            body.answer_form,
            tuple(body.choices or ()),
            body.require_context,
        )

    async def whole(self) -> dict[str, Any]:
        """The answer, once it is there."""
        written = None
        async with aclosing(self._written()) as steps:
            async for step in steps:
                written = step
        assert isinstance(written, Written)  # noqa: S101 - what the steps end with
        return await self._reported(written)

    async def events(self) -> AsyncGenerator[str, None]:
        """The answer as it is written, then the whole of it."""
        async with aclosing(self._written()) as steps:
            async for step in steps:
                if isinstance(step, Written):
                    yield event({"type": "result", "result": await self._reported(step)})
                elif step.text:
                    yield event({"type": "answer.delta", "text": step.text})
        yield DONE

    async def _written(self) -> AsyncGenerator[Chunk | Written, None]:
        """Chunks of an answer that is written, then what came of it."""
        body = self._body
        # Reading texts takes a while, and others wait for the event loop.
        context = await asyncio.to_thread(_read, body)
        reason = await asyncio.to_thread(_gate, context, body, self._finder)
        ranked = await asyncio.to_thread(contexts.ranked, context, body.query)
        room = body.new_tokens if body.is_written else max(16, *(len(each) for each in self._question.options))
        asked = await fitted(
            self._engine, lambda shown: prompt(self._question, shown), ranked, self._adapter, min(room, self._longest)
        )
        if reason:
            yield Written(context, asked, reason=reason)
        elif self._question.options:
            yield Written(context, asked, options=await self._scored(asked))
        elif body.confidence.method == "answer_frequency":
            yield await self._sampled(context, asked)
        else:
            chunks = list[Chunk]()
            request = self._request(asked, body.seed)
            async with aclosing(self._metrics.timed(self._engine.generate(request))) as stream:
                async for chunk in stream:
                    chunks.append(chunk)
                    yield chunk
            self._metrics.generated(chunks[-1].prompt_tokens, len(chunks))
            yield Written(context, asked, chunks=chunks, samples=1, tokens=len(chunks))

    @property
    def _longest(self) -> int:
        """New tokens that leave room for a question."""
        return max(1, self._engine.max_model_len // 2)

    async def _scored(self, asked: Fitted) -> list[Option]:
        return await options(self._engine, asked, self._question.options, self._adapter, self._metrics.generated)

    async def _sampled(self, context: contexts.Context, asked: Fitted) -> Written:
        """Several answers at once, each with a seed of its own; the one that most of them say."""
        count, seed = self._body.confidence.samples, self._body.seed
        requests = [self._request(asked, None if seed is None else (seed + number) % 2**63) for number in range(count)]
        drawn = [list[Chunk]() for _ in requests]
        async with aclosing(together(self._engine, self._metrics, requests)) as news:
            async for number, chunk in news:
                drawn[number].append(chunk)
        for chunks in drawn:
            self._metrics.generated(chunks[-1].prompt_tokens, len(chunks))
        said = agreement(["".join(chunk.text for chunk in chunks) for chunks in drawn], self._body.answer_form)
        tokens = sum(map(len, drawn))
        return Written(context, asked, chunks=drawn[said.chosen], agreement=said, samples=said.samples, tokens=tokens)

    def _request(self, asked: Fitted, seed: int | None) -> contract.Request:
        body = self._body
        sampling = Sampling(temperature=body.temperature, top_p=body.top_p, seed=seed)
        tokens = min(body.new_tokens, self._longest)
        stop = () if self._engine.tokenizer_info().get("chat_template") else _STOP
        return contract.Request(asked.text, tokens, sampling, stop=(*body.stops, *stop), adapter=self._adapter)

    async def _reported(self, written: Written) -> dict[str, Any]:
        asked = Asked(self._body, self._question, self._model, self._answering, self._start)
        found = await asyncio.to_thread(report, self._engine, asked, written, self._finder, self._profiles)
        self._metrics.read("genomics", "abstained" if found["abstained"] else "answered")
        if found["abstained"]:
            self._metrics.abstained(found["query_type"], found["abstain_reason"])
        self._metrics.read("genomics", "list_unparsed", bool(found["parsed"] and found["parsed"]["status"] == "failed"))
        self._metrics.read("genomics", "citation_dropped", len(found["dropped_citations"]))
        self._metrics.read("genomics", "identifier_unverified", len(found["unverified_identifiers"]))
        self._metrics.read("genomics", "context_truncated", sum(each["truncated"] for each in found["context_usage"]))
        return found


def _read(body: Query) -> contexts.Context:
    """The context's sentences. Raises InvalidRequest for what is no prose."""
    for document in body.documents:
        if why := refused(document.text):
            raise InvalidRequest(f"context {document.id}: {why}")
    texts = [(document.id, document.text) for document in body.documents]
    return contexts.read(texts, strip_citations=body.strip_citations)


def _gate(context: contexts.Context, body: Query, finder: Finder) -> str | None:
    """Why there is no need to ask the model: the context cannot hold an answer."""
    if not body.require_context:
        return None
    if not context.sentences:
        return "no_context"
    asked = contexts.content_words(body.query)
    if not any(asked & sentence.words for sentence in context.sentences):
        return "not_in_context"
    genes = {mention.key for mention in finder.mentions(body.query, ("gene", "variant")) if mention.identifier}
    named = {mention.key for document in context.documents for mention in finder.mentions(document.clean, ("gene",))}
    return "not_in_context" if genes and not genes & named else None
