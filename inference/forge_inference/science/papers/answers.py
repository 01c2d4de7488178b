"""From what a model wrote to statements that can be checked. What cannot be is kept, with the reason."""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Literal

from forge_inference.science.papers.paper import Paper
from forge_inference.science.papers.verified import found, unsupported
from forge_inference.science.text.document import Span
from forge_inference.science.text.sentences import sentences

Kind = Literal["finding", "method", "limitation", "summary"]
_LINE = re.compile(
    r"\W{0,6}(?:\d{1,3}\W{1,3})?(?P<kind>FINDING|METHOD|LIMITATION)S?[\s:|*.)–-]{1,6}(?P<said>\S.{0,4000})",
    re.IGNORECASE,
)
_NUMBERS = re.compile(r"\bS(\d{1,6})\b")
_MARKS = re.compile(r"\s*[\[(|]?\s*\bS\d{1,6}\b(?:\s?[,;&–-]?\s?(?:and )?S\d{1,6}\b){0,40}\s*[\])|]?")
_QUOTED = re.compile(r"[\"“]([^\"”]{1,1000})[\"”]")
_NOTHING = re.compile(r"\W*(?:none|nothing)?\W*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Statement:
    """What the model says, and the sentences that it rests it on, as spans of the clean text."""

    kind: Kind
    text: str
    evidence: tuple[Span, ...]


@dataclass(frozen=True, slots=True)
class Rejected:
    """A line that is not told as a statement, or a reference of one that is."""

    kind: Kind | None
    raw: str
    reason: Literal[
        "unreadable", "cut_off", "no_evidence", "unknown_sentence", "unfound_quotation", "unsupported_numbers"
    ]
    detail: str | None = None


def statements(paper: Paper, answer: str, shown: Collection[int], *, cut_off: bool) -> Iterator[Statement | Rejected]:
    """The lines of an answer about a part of the paper; `shown` are the numbers of the sentences it was given."""
    lines = [line for line in answer.splitlines() if not _NOTHING.fullmatch(line)]
    for place, raw in enumerate(lines):
        if cut_off and place == len(lines) - 1:
            yield Rejected(None, raw, "cut_off")
        elif readable := _LINE.match(raw):
            kind: Kind = "finding"
            for each in ("finding", "method", "limitation"):
                if readable["kind"].lower() == each:
                    kind = each
            yield from _checked(paper, kind, readable["said"], shown)
        else:
            yield Rejected(None, raw, "unreadable")


def summary(paper: Paper, answer: str, shown: Collection[int], *, cut_off: bool) -> Iterator[Statement | Rejected]:
    """The sentences of a summary."""
    said = _trailing_marks_inside(" ".join(answer.split()))
    parts = [span.of(said) for span in sentences(said)]
    for place, raw in enumerate(parts):
        if cut_off and place == len(parts) - 1:
            yield Rejected("summary", raw, "cut_off")
        else:
            yield from _checked(paper, "summary", raw, shown)


def _trailing_marks_inside(text: str) -> str:
    """ "It fell. [S1]" as "It fell [S1].": a sentence keeps its marks."""
    return re.sub(r"([.!?])(\s?\[S\d[^\]]{0,200}\])(?!\s?[.!?])", r"\2\1", text)


def _checked(paper: Paper, kind: Kind, said: str, shown: Collection[int]) -> Iterator[Statement | Rejected]:
    evidence, known = list[Span](), paper.sentences
    for number in dict.fromkeys(int(each) for each in _NUMBERS.findall(said)):
        if number in shown:
            evidence.append(known[number].span)
        else:
            yield Rejected(kind, f"S{number}", "unknown_sentence", "it was shown no sentence of this number")
    text = _MARKS.sub("", said).strip(" |")
    for quotation in _QUOTED.findall(text):
        place = found(paper, quotation)
        if place is None:
            yield Rejected(kind, said, "unfound_quotation", quotation)
            return
        evidence.append(place)
    if not evidence or not any(letter.isalpha() for letter in text):
        yield Rejected(kind, said, "no_evidence")
    elif lacking := unsupported(text, [paper.document.said(span) for span in evidence]):
        yield Rejected(kind, said, "unsupported_numbers", ", ".join(lacking))
    else:
        yield Statement(kind, text, tuple(evidence))
