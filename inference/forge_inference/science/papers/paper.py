"""A paper as rules read it: sentences with numbers and sections, and tables apart from them."""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from forge_inference.science.text.cleaning import clean
from forge_inference.science.text.document import Document, Span
from forge_inference.science.text.folding import folded
from forge_inference.science.text.headings import Kind
from forge_inference.science.text.offsets import Offsets, OffsetUnit
from forge_inference.science.text.sections import Section, sections
from forge_inference.science.text.sentences import sentences
from forge_inference.science.text.traced import Traced

_LONGEST = 2000  # characters of a sentence that rules look at; what is longer is no prose
_LONGEST_ROW = 600  # characters; a longer line with a tab in it is a paragraph
_HEADING = 80  # characters of a line that may be one
_PARTED: set[Kind] = {"intro", "methods", "results", "discussion"}


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence; `text` is a folded copy of its beginning, to match against."""

    number: int
    span: Span
    text: str
    kind: Kind


@dataclass(frozen=True, slots=True)
class Quote:
    """A place in the text as sent: `sent[start:end] == quote`, in the unit asked for. `page` of a PDF, from 1."""

    start: int
    end: int
    quote: str
    section: str
    page: int | None = None


class Paper:
    """A text, read once. Spans are of the clean copy until `quoted` brings them out."""

    def __init__(
        self,
        sent: str | Traced,
        page_starts: Sequence[int] = (),
        unit: OffsetUnit = "codepoint",
        *,
        strip_citations: bool = False,
    ) -> None:
        """`page_starts` in code points of `sent`."""
        self.document: Document = clean(sent, strip_citations=strip_citations)
        self._page_starts = page_starts
        self._offsets = Offsets(self.document.sent, unit)
        self.text = self.document.clean
        self.folded = folded(self.text)
        self.sections: list[Section] = sections(self.text)
        self._kinds = list(_kinds(self.sections))
        self._starts = [section.span.start for section in self.sections]
        self.tables = list(_tables(self.text))
        self._tables = [table.start for table in self.tables]

    @cached_property
    def sentences(self) -> list[Sentence]:
        """In their order, without headings and the rows of tables."""
        found = [
            span
            for section in self.sections
            for each in sentences(section.span.of(self.text))
            if not self.in_table(span := each.shifted(section.span.start)) and not self._heads(span)
        ]
        return [
            Sentence(i, span, self.folded[span.start : min(span.end, span.start + _LONGEST)], self.kind_at(span.start))
            for i, span in enumerate(found)
        ]

    def _heads(self, span: Span) -> bool:
        """Whether it is the heading of a part: a short line of its own that no stop ends."""
        said = span.of(self.text)
        around = self.text[span.start - 1 : span.start], self.text[span.end : span.end + 1]
        alone = all(mark in {"", "\n"} for mark in around) and "\n" not in said
        return alone and len(said) <= _HEADING and said[-1] not in ".!?:;)]" and self.kind_at(span.start) in _PARTED

    def in_table(self, span: Span) -> bool:
        """Whether any of it stands in a table."""
        at = bisect_right(self._tables, span.end)
        return any(table.meets(span) for table in self.tables[max(0, at - 2) : at])

    def kind_at(self, place: int) -> Kind:
        """What kind of section a place belongs to."""
        return self._kinds[max(0, bisect_right(self._starts, place) - 1)]

    def kind_of(self, section: Section) -> Kind:
        """Its own, or where its heading says nothing or is of an abstract's label, that of what it is a part of."""
        return self.kind_at(section.span.start)

    def quoted(self, span: Span) -> Quote:
        """A span of the clean copy as it was sent."""
        page = bisect_right(self._page_starts, self.document.located(span).start) or None
        place = self.placed(span)
        return Quote(place.start, place.end, self.document.said(span), self.kind_at(span.start), page)

    @property
    def pages(self) -> list[Span]:
        """Where each page of a PDF lies in the text as it was sent, in the unit that was asked for."""
        ends = (*self._page_starts[1:], len(self.document.sent))
        return [self._offsets.of(Span(*page)) for page in zip(self._page_starts, ends, strict=False)]

    def placed(self, span: Span) -> Span:
        """Where a span of the clean copy lies in the text as it was sent, in the unit that was asked for."""
        return self._offsets.of(self.document.located(span))


def _kinds(found: list[Section]) -> Iterator[Kind]:
    within: Kind = "body"
    for section in found:
        if section.detected_by == "label" and within in {"abstract", "body"}:
            yield "abstract" if within == "abstract" else section.kind
        elif section.kind == "unknown" and within != "references":
            yield within
        else:
            within = section.kind
            yield section.kind


def _tables(text: str) -> Iterator[Span]:
    """Runs of lines that are rows."""
    begun, start = -1, 0
    for line in text.split("\n"):
        if len(line) <= _LONGEST_ROW and _is_row(line):
            begun = start if begun < 0 else begun
        elif begun >= 0:
            yield Span(begun, start - 1)
            begun = -1
        start += len(line) + 1
    if begun >= 0:
        yield Span(begun, len(text))


def _is_row(line: str) -> bool:
    return "\t" in line or line.count(" | ") > 1 or (line.lstrip()[:1] == "|" and line.count("|") > 1)
