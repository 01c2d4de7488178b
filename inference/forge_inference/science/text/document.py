"""A text as it was sent, the clean copy that is read, and how the two lie upon each other."""

from array import array
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple


class Span(NamedTuple):
    """Half open, in code points: `text[start:end]`."""

    start: int
    end: int

    def shifted(self, by: int) -> "Span":
        return Span(self.start + by, self.end + by)

    def holds(self, other: "Span") -> bool:
        return self.start <= other.start and other.end <= self.end

    def meets(self, other: "Span") -> bool:
        """Whether they have a character in common."""
        return self.start < other.end and other.start < self.end

    def of(self, text: str) -> str:
        return text[self.start : self.end]


@dataclass(frozen=True, slots=True)
class Document:
    """Rules read `clean`; whatever is said of it is quoted from `sent`.

    Spans of sentences, sections and mentions are of `clean`. `located` brings one to `sent`, and `quote` takes one of
    `sent`: what leaves this process is always located.
    """

    sent: str
    clean: str
    edits: Mapping[str, int] = field(default_factory=dict)  # how often each step of cleaning changed something
    _starts: "array[int]" = field(default_factory=lambda: array("I"), repr=False)  # of each clean character, in `sent`
    _ends: "array[int]" = field(default_factory=lambda: array("I"), repr=False)

    def located(self, span: Span) -> Span:
        """Where a span of `clean` lies in `sent`: the shortest that holds all it was made of.

        Raises
        ------
        ValueError
            It does not lie within `clean`.
        """
        if not 0 <= span.start <= span.end <= len(self.clean):
            raise ValueError(f"{span} is not within {len(self.clean)} characters")
        if span.start == span.end:
            here = self._starts[span.start] if span.start < len(self.clean) else len(self.sent)
            return Span(here, here)
        return Span(self._starts[span.start], self._ends[span.end - 1])

    def quote(self, span: Span) -> str:
        """The characters of `sent` in a located span, as they were sent."""
        return span.of(self.sent)

    def said(self, span: Span) -> str:
        """What was sent where `clean` has this span."""
        return self.quote(self.located(span))
