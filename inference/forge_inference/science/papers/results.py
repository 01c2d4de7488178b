"""Reported results as rows: system, benchmark, metric, value. From tables, then from sentences that say all of it.

Precision before completeness: what cannot be tied to both a metric and a benchmark of the lexicon is left out, and what
no such metric can be is told apart, with the reason.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Literal

from forge_inference.science.papers.datasets import Named, named
from forge_inference.science.papers.metrics import BY_ID, NAMED
from forge_inference.science.papers.paper import Paper, Sentence
from forge_inference.science.text.document import Span
from forge_inference.science.text.folding import folded
from forge_inference.science.text.numbers import numbers

MOST_ROWS, MOST_CELLS = 500, 5000


@dataclass(frozen=True, slots=True)
class Result:
    """`value` as printed, `span` where; `row` is the sentence or the line of the table."""

    system: str | None
    dataset: str
    metric: str
    value: Decimal
    unit: Literal["percent", "fraction", "none"]
    ours: bool | None
    source: Literal["table", "sentence"]
    span: Span
    row: Span


@dataclass(frozen=True, slots=True)
class Dropped:
    """A value that was read and is not told as a result."""

    span: Span
    reason: str


_RULE = re.compile(r"[\s|:=-]+")
_OURS = re.compile(r"\((?:ours|proposed|this work|this study)\)|\bours\b|\bproposed\b", re.IGNORECASE)
_MARKS = re.compile(r"[*_†‡§]+|\((?:ours|proposed|this work|this study)\)", re.IGNORECASE)
_VALUE = r"(?P<value>[-+]?\d{1,6}(?:\.\d{1,6})?|\.\d{1,6})"
_AFTER = re.compile(rf"[^\d.,;%]{{0,50}}?(?:\bof|\bto|\bwas|\bis|=|:) ?{_VALUE}(?![\d.]*\d)")
_BEFORE = re.compile(rf"(?<![\d.,]){_VALUE} ?%? $")
_SUBJECT = re.compile(
    r"(?P<name>[A-Z][\w+-]{1,30}(?: [A-Z0-9][\w+-]{0,20}){0,2}),? (?:\w{1,12}ly )?(?:reach|achiev|obtain|attain"
    r"|scor|improv|get|yield)"
)
_DIFFERENCE = re.compile(r" ?%? ?(?:percentage )?(?:points?|pp)\b| (?:above|below|higher|lower|better|worse)\b")


def results(paper: Paper) -> tuple[list[Result], list[Dropped]]:
    """The rows, each value and benchmark once, and what was dropped."""
    found, dropped, met = list[Result](), list[Dropped](), set[tuple[str, str, Decimal]]()
    for result in (*_from_tables(paper), *_from_sentences(paper)):
        key = (result.dataset, result.metric, result.value)
        if why := _impossible(result):
            dropped.append(Dropped(result.span, why))
        elif result.source == "table" or key not in met:
            met.add(key)
            found.append(result)
    return found, dropped


def _impossible(result: Result) -> str | None:
    if BY_ID[result.metric].unbounded:
        return None
    if not -1 <= result.value <= 100:
        return f"{result.metric} cannot be {result.value}"
    return None


def _unit(metric: str, value: Decimal, percent: bool) -> Literal["percent", "fraction", "none"]:
    if BY_ID[metric].unbounded:
        return "none"
    return "percent" if percent or value > 1 else "fraction"


def _from_tables(paper: Paper) -> Iterator[Result]:
    cells_left = MOST_CELLS
    for table in paper.tables:
        caption = folded(paper.text[max(0, table.start - 300) : table.start].rstrip().rpartition("\n")[2])
        lines = list(_lines(paper.text, table))[:MOST_ROWS]
        if len(lines) < 2:
            continue
        default = next((each.name for each in named(caption) if each.kind == "ml_benchmark"), None)
        heads = [_head(said, default) for _, said in lines[0][1]]
        for line, cells in lines[1:]:
            if len(cells) != len(heads) or cells_left <= 0:
                continue
            cells_left -= len(cells)
            yield from _row(line, cells, heads)


def _row(line: Span, cells: list[tuple[Span, str]], heads: list[tuple[str, str] | None]) -> Iterator[Result]:
    system = _MARKS.sub("", cells[0][1]).strip() or None
    ours = bool(_OURS.search(cells[0][1]))
    for head, (span, said) in zip(heads[1:], cells[1:], strict=True):
        number = next(numbers(_MARKS.sub("", said)), None) if head else None
        if head is None or number is None:
            continue
        unit = _unit(head[1], number.value, number.percent)
        yield Result(system, head[0], head[1], number.value, unit, ours, "table", span, line)


def _head(cell: str, default: str | None) -> tuple[str, str] | None:
    """The benchmark and the metric that a column is about."""
    metric = NAMED.search(cell)
    dataset = next((each.name for each in named(cell) if each.kind == "ml_benchmark"), default)
    return (dataset, str(metric.lastgroup)) if metric and dataset else None


def _lines(text: str, table: Span) -> Iterator[tuple[Span, list[tuple[Span, str]]]]:
    """Each line of a table, with its folded cells and where they stand; lines that only rule are left out."""
    start = table.start
    for said in table.of(text).split("\n"):
        line = Span(start, start + len(said))
        start = line.end + 1
        if _RULE.fullmatch(said):
            continue
        mark = "|" if "|" in said else "\t"
        cells, at = list[tuple[Span, str]](), line.start
        for piece in said.split(mark):
            bare = piece.strip()
            place = at + len(piece) - len(piece.lstrip())
            cells.append((Span(place, place + len(bare)), folded(bare)))
            at += len(piece) + 1
        if mark == "|":
            cells = cells[not cells[0][1] : len(cells) - (not cells[-1][1])]
        yield line, cells


def _from_sentences(paper: Paper) -> Iterator[Result]:
    for sentence in paper.sentences:
        if sentence.kind in {"references", "intro", "limitations"} or not NAMED.search(sentence.text):
            continue
        places = [each for each in named(sentence.text) if each.kind == "ml_benchmark"]
        if places:
            yield from _said(sentence, places)


def _said(sentence: Sentence, places: list[Named]) -> Iterator[Result]:
    masked = sentence.text  # digits in the name of a benchmark are no values
    for each in places:
        masked = masked[: each.span.start] + "x" * (each.span.end - each.span.start) + masked[each.span.end :]
    subject = next(
        (found["name"] for found in _SUBJECT.finditer(sentence.text) if not NAMED.match(found["name"])), None
    )
    for metric in NAMED.finditer(masked):
        name = str(metric.lastgroup)
        found = _BEFORE.search(masked, max(0, metric.start() - 14), metric.start()) or _AFTER.match(
            masked, metric.end()
        )
        if found is None or _DIFFERENCE.match(masked, found.end("value")):
            continue
        span = Span(*found.span("value"))
        clause = Span(masked.rfind(",", 0, metric.start()), (masked + ",").find(",", max(metric.end(), span.end)))
        near = [each for each in places if clause.holds(each.span)] or places
        nearest = min(near, key=lambda each: min(abs(each.span.start - span.end), abs(span.start - each.span.end)))
        value = Decimal(found["value"])
        percent = masked[span.end : span.end + 2].strip().startswith("%")
        yield Result(
            system=subject,
            dataset=nearest.name,
            metric=name,
            value=value,
            unit=_unit(name, value, percent),
            ours=None,
            source="sentence",
            span=span.shifted(sentence.span.start),
            row=sentence.span,
        )
