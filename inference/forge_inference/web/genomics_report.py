"""The answer to a genomics question with all that is told of it: citations, concepts, confidence, provenance."""

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from forge_inference import __version__
from forge_inference.engine.contract import Chunk, Engine
from forge_inference.science.concepts.finding import Finder
from forge_inference.science.concepts.kinds import Mention
from forge_inference.science.concepts.lexicon import provenance as lexicons
from forge_inference.science.genomics import answers, gathering, scope
from forge_inference.science.genomics.answers import Cited
from forge_inference.science.genomics.confidence import Agreement
from forge_inference.science.genomics.context import Context
from forge_inference.science.genomics.profiles import Profile
from forge_inference.science.genomics.questions import Question
from forge_inference.science.text.cleaning import clean
from forge_inference.web.asking import Fitted, Option
from forge_inference.web.genomics_confidence import confidence, evidence
from forge_inference.web.genomics_schemas import Query
from forge_inference.web.provenance import effect


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
    said = answers.cited(text, context, written.prompt.shown, finder) if is_prose else Cited((), (), ())
    reason = written.reason or _declined(body, text, said, is_prose)
    if reason:
        said = Cited(said.claims, (), said.dropped)
    before = time.monotonic()
    texts = {
        "query": clean(body.query),
        **{f"context:{name}": document for name, document in zip(context.names, context.documents, strict=True)},
        "answer": clean(text if is_prose else ""),
    }
    named = gathering.gathered(texts, finder, body.organism.ncbi_taxon_id)
    types = body.concepts.types if body.concepts.enabled else []
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
        "sections": answers.sections(text, body.query_type) if is_prose and not reason else {},
        "options": [_option(each) for each in written.options] or None,
        "citations": [_citation(number, each, context, body) for number, each in enumerate(said.citations, 1)],
        "dropped_citations": [{"raw": each.raw, "reason": each.reason} for each in said.dropped],
        "concepts": [_concept(each) for each in named if each.mention.type in types],
        "unverified_identifiers": [
            {"text": each.mention.text, "start": place.span.start, "end": place.span.end,
             "why": "the answer names it; neither the question nor the context does"}
            for each in gathering.unverified(named, texts)
            for place in each.places
        ],
        "confidence": {**sure, "evidence": evidence(said, written.chunks, bool(context.sentences))},
        "context_usage": _usage(context, written.prompt),
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
    if answers.declines(text) or not text:
        return "model_declined"
    return "unsupported" if body.require_context and not said.supported else None


def _option(option: Option) -> dict[str, Any]:
    return {
        "text": option.text,
        "probability_among_options": option.probability,
        "mean_logprob": option.logprob,
        "tokens": option.tokens,
    }


def _citation(number: int, citation: answers.Citation, context: Context, body: Query) -> dict[str, Any]:
    document = context.documents[citation.sentence.document]
    span = document.located(citation.sentence.span)
    given = body.documents[citation.sentence.document]
    return {
        "number": number,
        "marker": citation.marker,
        "context_id": given.id,
        "start": span.start,
        "end": span.end,
        "offset_unit": "codepoint",
        "cited_text": document.quote(span),
        "source": given.source,
        "answer_start": citation.claim.start,
        "answer_end": citation.claim.end,
        "attribution": citation.attribution,
        "support": citation.support.relation,
        "support_score": round(citation.support.score, 3),
    }


def _concept(concept: gathering.Concept) -> dict[str, Any]:
    mention = concept.mention
    return {
        "text": mention.text,
        "type": mention.type,
        "status": mention.status,
        "method": mention.method,
        "normalized": _identifier(mention),
        "candidates": [{"id": each.id, "name": each.name, "source": each.source} for each in mention.candidates],
        "variant": _variant(mention),
        "notes": list(mention.notes),
        "mentions": [{"in": place.text, "start": place.span.start, "end": place.span.end} for place in concept.places],
        "in_context": concept.in_context,
    }


def _identifier(mention: Mention) -> dict[str, str] | None:
    found = mention.identifier
    return {"id": found.id, "name": found.name, "source": found.source} if found else None


def _variant(mention: Mention) -> dict[str, Any] | None:
    found = mention.variant
    if found is None:
        return None
    return {
        "kind": found.kind,
        "level": found.level,
        "canonical": found.canonical,
        "reference": found.reference,
        "gene": found.gene,
        "gene_inferred": found.gene_inferred,
        "assembly": found.assembly,
        "legacy": found.legacy,
        "validation": "syntax",
    }


def _usage(context: Context, prompt: Fitted) -> list[dict[str, Any]]:
    """Of each document how many sentences the model was shown, and which not, by their places."""
    shown = {sentence.number for sentence in prompt.shown}
    used = Counter(sentence.document for sentence in prompt.shown)
    every = Counter(sentence.document for sentence in context.sentences)
    left: dict[int, list[list[int]]] = {}
    for sentence in context.sentences:
        if sentence.number not in shown:
            span = context.documents[sentence.document].located(sentence.span)
            left.setdefault(sentence.document, []).append([span.start, span.end])
    return [
        {
            "id": name,
            "sentences": every[place],
            "used_sentences": used[place],
            "truncated": used[place] < every[place],
            "left_out": left.get(place, [])[:200],
        }
        for place, name in enumerate(context.names)
    ]


def _provenance(engine: Engine, asked: Asked, written: Written, finder: Finder) -> dict[str, Any]:
    loaded, body = engine.loaded(), asked.body
    return {
        "server": __version__,
        "checkpoint": loaded.checkpoint.digest if loaded else None,
        "base_model": loaded.checkpoint.base_model if loaded else None,
        **asked.answering,
        "adapter_effect": effect(loaded) if loaded else None,
        "use_adapter": body.use_adapter,
        "prompt": {
            **asked.answering["prompt"],
            "prompt_sha256": written.prompt.digest,
            "system_role": "folded",
        },
        "lexicon": lexicons(finder.tables),
        "organism_assumed": body.organism.ncbi_taxon_id,
        "genome_assembly": body.genome_assembly,
        "sampling": {"temperature": body.temperature, "top_p": body.top_p, "seed": body.seed},
    }
