"""The answer about a paper: what rules found, what the model said, and how much of the text either has seen."""

import hashlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any, Literal
from uuid import uuid4

from forge_inference.engine.contract import Engine
from forge_inference.science.papers import prompts
from forge_inference.science.papers.answers import Statement
from forge_inference.science.papers.methodology import Said
from forge_inference.science.papers.paper import Paper as Text
from forge_inference.science.papers.parts import Analysis, uses
from forge_inference.science.papers.reporting import Judged, Report
from forge_inference.science.papers.rules import Rules
from forge_inference.science.papers.source import Source
from forge_inference.science.papers.statistics import Recomputed
from forge_inference.science.text.document import Span
from forge_inference.web.paper_schemas import (
    Analyze,
    Benchmarks,
    Coverage,
    Dropped,
    Findings,
    Limitations,
    Methodology,
    Paper,
    Quality,
    Quoted,
    Sourced,
    Stated,
    Summary,
)
from forge_inference.web.provenance import determinism, served
from forge_inference.web.reading import Read

RULES = "papers/1"  # changes when the same text may be judged differently
_MOST_ITEMS = 100
_NOTICE = {
    "use": "research_use_only",
    "text": "Rules and a language model read this text; neither judges whether it is true. Not for clinical decisions.",
}


def report(engine: Engine, body: Analyze, model: str, found: Rules, read: Read) -> Paper:
    """All of it. `timing_ms` is the caller's."""
    paper, asked = found.paper, body.analyses
    return Paper(
        id=f"paper-{uuid4().hex[:24]}",
        model=model,
        source=_sourced(paper, found.source),
        text=paper.document.sent if found.source.kind in {"jats_xml", "pdf"} else None,
        summary=_summary(paper, body, read) if "summary" in asked and body.use_model else None,
        key_findings=_findings(paper, read) if "key_findings" in asked and body.use_model else None,
        methodology=_methodology(body, found, read) if "methodology" in asked else None,
        benchmarks=_benchmarks(found) if "benchmarks" in asked else None,
        limitations=_limitations(body, found, read) if "limitations" in asked else None,
        quality=_quality(paper, found.reporting),
        statistics=[_statistic(paper, each) for each in found.statistics],
        coverage=_coverage(body, paper, read),
        dropped=_dropped(read),
        preprocessing=dict(paper.document.edits),
        offset_unit=body.offset_unit,
        prompts=read.prompts if body.include_prompt else None,
        notice=_NOTICE,
        provenance={
            **served(engine),
            "rules": RULES,
            "prompt_templates_sha256": prompts.TEMPLATES,
            "prompts_sha256": [hashlib.sha256(prompt.encode()).hexdigest() for prompt in read.prompts],
            "sampling": body.model_dump(include={"temperature", "top_p", "seed", "max_new_tokens", "use_adapter"}),
            **determinism(body.temperature, body.seed, written=read.calls > 0),
        },
        usage={
            "prompt_tokens": read.prompt_tokens,
            "completion_tokens": read.completion_tokens,
            "total_tokens": read.prompt_tokens + read.completion_tokens,
        },
        timing_ms=0,
    )


def _sourced(paper: Text, source: Source) -> Sourced:
    pages = [{"number": number, **place._asdict()} for number, place in enumerate(paper.pages, 1)]
    return Sourced(
        kind=source.kind,
        quality="pdf_text_layer" if source.kind == "pdf" else None,
        pages=pages or None,
        left_out=[asdict(each) for each in source.left_out],
    )


def _quoted(paper: Text, span: Span) -> Quoted:
    return Quoted(**asdict(paper.quoted(span)))


def _place(paper: Text, span: Span) -> dict[str, Any]:
    return asdict(paper.quoted(span))


def _stated(paper: Text, statements: Iterable[Statement], authors: list[Span] | None = None) -> list[Stated]:
    return [
        Stated(
            statement=each.text,
            evidence=[_quoted(paper, span) for span in each.evidence],
            rests_on_author_stated=None if authors is None else any(span in authors for span in each.evidence),
        )
        for each in statements
    ]


def _summary(paper: Text, body: Analyze, read: Read) -> Summary:
    sentences = _stated(paper, read.summary)
    text = " ".join(each.statement for each in sentences)
    return Summary(text=text, sentences=sentences, made_from=read.summarised, style=body.style)


def _findings(paper: Text, read: Read) -> Findings:
    return Findings(findings=_stated(paper, (each for each in read.statements if each.kind == "finding")))


def _methodology(body: Analyze, found: Rules, read: Read) -> Methodology:
    assert found.methods is not None  # noqa: S101 - read for whoever asks for it
    paper, said = found.paper, found.methods

    def listed(things: tuple[Said, ...]) -> list[dict[str, Any]]:
        return [{"name": each.name, "value": each.value, **_place(paper, each.span)} for each in things]

    by_rule = {
        "organisms": listed(said.organisms),
        "samples": listed(said.samples),
        "statistical_tests": listed(said.tests),
        "software": listed(said.software),
    }
    model = _stated(paper, (each for each in read.statements if each.kind == "method")) if body.use_model else None
    return Methodology(rule=by_rule, model=model)


def _benchmarks(found: Rules) -> Benchmarks:
    paper, (rows, dropped) = found.paper, found.results
    return Benchmarks(
        datasets=[
            {
                **asdict(each),
                "spans": [_place(paper, span) for span in each.spans],
            }
            for each in found.datasets
        ],
        results=[
            {
                **asdict(row),
                "value": str(row.value),
                "span": _place(paper, row.span),
                "row": _place(paper, row.row),
            }
            for row in rows
        ],
        dropped=[{"reason": each.reason, **_place(paper, each.span)} for each in dropped],
    )


def _limitations(body: Analyze, found: Rules, read: Read) -> Limitations:
    said = (each for each in read.statements if each.kind == "limitation")
    return Limitations(
        author_stated=[_quoted(found.paper, span) for span in found.limitations],
        model=_stated(found.paper, said, found.limitations) if body.use_model else None,
    )


def _quality(paper: Text, found: Report) -> Quality:
    addressed = found.count("addressed", "addressed_negative")
    share = found.share
    return Quality(
        score=None
        if share is None
        else {"addressed": addressed, "expected": found.expected, "fraction": round(share, 3)},
        not_assessable=found.not_assessable,
        study=[{"kind": each.trait, "because": _place(paper, each.span)} for each in found.traits],
        criteria=[_criterion(paper, each) for each in found.judged],
    )


def _criterion(paper: Text, judged: Judged) -> dict[str, Any]:
    return {
        "id": judged.criterion.id,
        "label": judged.criterion.label,
        "guidelines": judged.criterion.guidelines,
        "expected_of": judged.because.trait if judged.because else None,
        "status": judged.status,
        "evidence": _place(paper, judged.span) if judged.span else None,
    }


def _statistic(paper: Text, one: Recomputed) -> dict[str, Any]:
    return {
        "test": one.test,
        "df": one.df,
        "statistic": one.statistic,
        "reported_p": one.reported,
        "recomputed_p": one.p,
        "recomputed_p_range": one.p_range,
        "tail": one.tail,
        "decision": one.decision,
        "note": one.note,
        **_place(paper, one.span),
    }


def _coverage(body: Analyze, paper: Text, read: Read) -> Coverage:
    strategy: Literal["rules", "single", "map_reduce"] = "single" if read.parts == 1 else "map_reduce"
    analyses = body.analyses if body.use_model else frozenset[Analysis]()
    return Coverage(
        strategy=strategy if read.parts else "rules",
        chars_total=len(paper.document.sent),
        chars_shown_to_model=read.characters,
        sections=[asdict(use) for use in uses(paper, analyses)],
        sentences_total=len(paper.sentences),
        sentences_shown=read.shown,
        sentences_too_long=[_quoted(paper, sentence.span) for sentence in read.too_long],
        tables=len(paper.tables),
        parts=read.parts,
        model_calls=read.calls,
        truncated_answers=read.truncated,
        evidence_left_out_of_summary=read.unused,
    )


def _dropped(read: Read) -> Dropped:
    return Dropped(
        lines=read.lines,
        by_reason=Counter(each.reason for each in read.rejected),
        items=[{**asdict(each), "raw": each.raw[:500]} for each in read.rejected[:_MOST_ITEMS]],
    )
