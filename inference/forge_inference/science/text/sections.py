"""Sections of a paper or an abstract, from plain text: headings on lines of their own, and labels before sentences."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from forge_inference.science.text.document import Span
from forge_inference.science.text.headings import Kind, is_heading, kind_of

By = Literal["heading", "label", "none"]


@dataclass(frozen=True, slots=True)
class Section:
    """`span` is what stands under the heading; `heading` is None for what comes before the first."""

    kind: Kind
    span: Span
    heading: Span | None
    detected_by: By


_LINE = re.compile(r"^[ \t]*(?P<text>[^\n]{2,90}?)[ \t]*$", re.MULTILINE)
_PART = re.compile(r"\s*\d{1,2}\.\d")
# Of structured abstracts: at the beginning of a line or behind a sentence, "Methods: we", "RESULTS We", "Results—We".
_AT = r"(?:^|(?<=[.!?)\]]\s)|(?<=\n))"
_LABEL = re.compile(
    _AT + r"(?P<name>[A-Z][A-Za-z]{3,}(?:[ ,]+(?:and |of |the |this )?[A-Za-z]{4,}){0,4})(?:\s?[:—]|\.?[—–])\s*(?=\S)"
    r"|" + _AT + r"(?P<caps>[A-Z]{5,}(?:[ ,/&]+[A-Z]{2,}){0,4})\s+(?=[A-Z\d(])"
)


@dataclass(frozen=True, slots=True)
class _Head:
    kind: Kind
    span: Span
    by: By


def sections(text: str) -> list[Section]:
    """In their order; with their headings they hold everything that is said. A text without headings is one `body`."""
    heads = [_Head("body", Span(0, 0), "none"), *_heads(text)]
    ends = [head.span.start for head in heads[1:]] + [len(text)]
    return [
        Section(head.kind, Span(head.span.end, end), head.span if head.span.end else None, head.by)
        for head, end in zip(heads, ends, strict=True)
        if head.span.end or text[:end].strip() or len(heads) == 1
    ]


def _heads(text: str) -> Iterator[_Head]:
    """Headings, or where there are none the labels of a structured abstract; never one within another."""
    lines = list(_lines(text))
    last = 0
    for head in sorted([*lines, *_labels(text)], key=lambda head: head.span.start):
        if head.span.start >= last:
            yield head
            last = head.span.end


def _lines(text: str) -> Iterator[_Head]:
    for line in _LINE.finditer(text):
        said, span = line["text"].strip(), Span(*line.span("text"))
        if _PART.match(said) or not is_heading(said) or (text.strip() == said):
            continue  # a part's heading divides no section, but is a line of it
        yield _Head(kind_of(said) or "unknown", span, "heading")


def _labels(text: str) -> Iterator[_Head]:
    for label in _LABEL.finditer(text):
        name = "name" if label["name"] else "caps"
        kind = kind_of(label[name])
        if kind:
            yield _Head(kind, Span(label.start(name), label.end()), "label")
