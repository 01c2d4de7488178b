"""The answer to a genomics question with all that is told of it: citations, concepts, confidence, provenance."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from forge_inference.engine.contract import Chunk, Engine
from forge_inference.science.concepts.finding import Finder
from forge_inference.science.concepts.lexicon import provenance as lexicons
from forge_inference.science.genomics import answers, gathering, scope
from forge_inference.science.genomics.answers import Cited
from forge_inference.science.genomics.confidence import Agreement
from forge_inference.science.genomics.context import Context
from forge_inference.science.genomics.lists import Items, items
from forge_inference.science.genomics.profiles import Profile
from forge_inference.science.genomics.questions import Question
from forge_inference.science.text.cleaning import clean
from forge_inference.web.asking import Fitted, Option
from forge_inference.web.genomics_confidence import confidence, evidence
from forge_inference.web.genomics_schemas import Query
from forge_inference.web.genomics_told import Told
from forge_inference.web.provenance import determinism, served


@dataclass(frozen=True, slots=True)
class Asked:
    body: Query
    question: Question
    model: str
    answering: dict[str, Any]  # web/calibration.py
    start: float  # monotonic


@dataclass(frozen=True, slots=True)
class Written:
    """What came of a question: a written answer, the likelihoods of given ones, or a reason to give none.

    `agreement` of several written answers, of which `chunks` are the one that was chosen; `samples` counts all answers
    and `tokens` theirs.
    """

    context: Context
    prompt: Fitted
    chunks: list[Chunk] = field(default_factory=list)
    options: list[Option] = field(default_factory=list)
    reason: str | None = None
    agreement: Agreement | None = None
    samples: int = 0
    tokens: int = 0

    @property
    def text(self) -> str:
        if self.options:
            return self.options[0].text
        return "".join(chunk.text for chunk in self.chunks).strip()


def report(
    engine: Engine, asked: Asked, written: Written, finder: Finder, profiles: Sequence[Profile]
) -> dict[str, Any]:
    """In the shape of GenomicsAnswer. Pure but for the clock; long texts take a while."""
    body, text, context = asked.body, written.text, written.context
    is_prose = bool(written.chunks)
    found = items(text) if is_prose and body.answer_form == "list" else Items()
    claims = found.spans if found.form else None
    said = answers.cited(text, context, written.prompt.shown, finder, claims) if is_prose else Cited((), (), ())
    reason = written.reason or _declined(body, text, said, is_prose)
    if reason:
        said = Cited(said.claims, (), said.dropped)
    before = time.monotonic()
    texts = {
        "query": clean(body.query),
        **{f"context:{name}": document for name, document in zip(context.names, context.documents, strict=True)},
        "answer": clean(text if is_prose and reason != "model_declined" else ""),
    }
    told = Told.of({name: document.sent for name, document in texts.items()}, body.offset_unit)
    named = gathering.gathered(texts, finder, body.organism.ncbi_taxon_id)
    types = body.concepts.types if body.concepts.enabled else []
    sources = [name for name in texts if name.partition(":")[0] in body.concepts.sources]
    finish = written.chunks[-1].finish if written.chunks else None
    provenance = _provenance(engine, asked, written, finder)
    sure = confidence(
        body,
        [] if reason else written.chunks,
        [] if reason else written.options,
        None if reason else written.agreement,
        provenance,
        profiles,
    )
    now = time.monotonic()
    return {
        "id": f"gq-{uuid4().hex[:24]}",
        "object": "genomics.answer",
        "created": int(time.time()),
        "model": asked.model,
        "query_type": body.query_type,
        "answer": None if reason else text,
        "abstained": reason is not None,
        "abstain_reason": reason,
        "withheld_answer": text if reason == "unsupported" else None,
        "finish_reason": "abstain" if reason else finish or "stop",
        "truncated": finish == "length",
        "sections": answers.sections(text, body.query_type) if body.answer_form == "text" and not reason else {},
        "items": told.items(text, found, said, finish == "length") if not reason else None,
        "parsed": _parsed(found) if is_prose and body.answer_form == "list" else None,
        "options": [_option(each) for each in written.options] or None,
        "citations": [
            told.citation(number, each, context, body.documents[each.sentence.document])
            for number, each in enumerate(said.citations, 1)
        ],
        "dropped_citations": [{"raw": each.raw, "reason": each.reason} for each in said.dropped],
        "unsupported_claims": told.unsupported(text, said) if reason in (None, "unsupported") else [],
        "offset_unit": body.offset_unit,
        "concepts": [
            told.concept(each, sources)
            for each in named
            if each.mention.type in types and any(place.text in sources for place in each.places)
        ],
        "unverified_identifiers": told.made_up(gathering.unverified(named, texts)),
        "confidence": {**sure, "evidence": evidence(said, written.chunks, bool(context.sentences))},
        "context_usage": told.usage(context, written.prompt),
        "preprocessing": {name: dict(document.edits) for name, document in texts.items() if document.edits},
        "scope_flags": scope.flags(body.query),
        "notice": scope.NOTICE,
        "prompt": written.prompt.text if body.include_prompt else None,
        "usage": {
            "prompt_tokens": len(written.prompt.tokens),
            "completion_tokens": written.tokens,
            "samples": written.samples,
        },
        "timing_ms": {"total": _ms(now - asked.start), "concepts": _ms(now - before)},
        "provenance": provenance,
    }  # fmt: skip


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 1)


def _declined(body: Query, text: str, said: Cited, is_prose: bool) -> str | None:
    if not is_prose:
        return None
    says_none = body.answer_form == "list" and body.require_context and not said.claims
    if answers.declines(text) or not text or says_none:
        return "model_declined"
    return "unsupported" if body.require_context and not said.supported else None


def _parsed(found: Items) -> dict[str, Any]:
    """How a list was written. What is in none of its items is in `answer` still."""
    return {
        "status": "parsed" if found.form else "failed",
        "form": found.form,
        "repeated": found.repeated,
        "lines_outside": found.outside,
        "why": found.why,
    }


def _option(option: Option) -> dict[str, Any]:
    return {
        "text": option.text,
        "probability_among_options": option.probability,
        "mean_logprob": option.logprob,
        "tokens": option.tokens,
    }


def _provenance(engine: Engine, asked: Asked, written: Written, finder: Finder) -> dict[str, Any]:
    body = asked.body
    return {
        **served(engine),
        **asked.answering,
        "use_adapter": body.use_adapter,
        "prompt": {
            **asked.answering["prompt"],
            "prompt_sha256": written.prompt.digest,
            "system_role": "folded",
        },
        "lexicon": lexicons(finder.tables),
        "organism_assumed": body.organism.ncbi_taxon_id,
        "genome_assembly": body.genome_assembly,
        "sampling": {"temperature": body.temperature, "top_p": body.top_p, "seed": body.seed, "stop": body.stops},
        **determinism(body.temperature, body.seed, written=bool(written.chunks)),
    }
