"""A list that a model wrote, taken apart into its items. What is no list is said to be none, with the reason."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from forge_inference.science.text.document import Span

Form = Literal["marked", "lines", "inline"]
_MARKED = re.compile(
    r"^[ \t]*(?:[-–—*•·▪‣]|\(?\d{1,3}[.):]\)?|\(?[a-z][.)])[ \t]+(?P<said>[^\n]*\S)[ \t]*$", re.MULTILINE
)
_LINE = re.compile(r"^[ \t]*(?P<said>\S[^\n]*?)[ \t]*$", re.MULTILINE)
_INLINE = re.compile(r"(?P<said>[^\s,;](?:[^,;\n\[]|\[[^\]\n]{0,200}\])*)")  # a marker's commas part nothing
_AND = re.compile(r"(?:and|or)\s+", re.IGNORECASE)
_PROSE = re.compile(r"\b(?:is|are|was|were|has|have|include[sd]?|which|that)\b", re.IGNORECASE)
_NOTHING = re.compile(r"\W*(?:none|nothing)\W*", re.IGNORECASE)
_WORD, _MARKS = re.compile(r"[\w+-]+"), re.compile(r"\[[^\]\n]{0,200}\]")
_LONGEST_LINE = 160  # characters; what is longer is a paragraph
_LONGEST_PART = 6  # words between two commas


@dataclass(frozen=True, slots=True)
class Items:
    """Spans of the answer, without bullets and numbers, none twice.

    `form` is how the model wrote them; None: it wrote no list, and `why` says what instead. `outside` counts the lines
    that belong to no item: words before a list or behind it.
    """

    spans: tuple[Span, ...] = ()
    form: Form | None = None
    repeated: int = 0
    outside: int = 0
    why: str | None = None


def items(answer: str) -> Items:
    """In their order. A list may be empty: NONE."""
    lines = [Span(*line.span("said")) for line in _LINE.finditer(answer)]
    if _NOTHING.fullmatch(answer):
        return Items(form="lines")
    if marked := [Span(*line.span("said")) for line in _MARKED.finditer(answer)]:
        return _once(answer, marked, "marked", outside=len(lines) - len(marked))
    if len(lines) > 1:
        if max(span.end - span.start for span in lines) > _LONGEST_LINE:
            return Items(outside=len(lines), why="it wrote paragraphs")
        return _once(answer, lines, "lines")
    parts = list(_parts(answer))
    if parts and not any(_is_prose(part.of(answer)) for part in parts):
        return _once(answer, parts, "inline")
    return Items(outside=len(lines), why="it wrote a sentence" if lines else "it wrote nothing")


def _parts(answer: str) -> Iterator[Span]:
    """What stands between commas or semicolons, behind a colon if there is one."""
    start = answer.find(": ") + 1
    for part in _INLINE.finditer(answer, start):
        said = part["said"].rstrip(" .\"'")
        joined = _AND.match(said)
        begin = part.start() + (joined.end() if joined else 0)
        if begin < part.start() + len(said):
            yield Span(begin, part.start() + len(said))


def _is_prose(part: str) -> bool:
    return len(part.split()) > _LONGEST_PART or bool(_PROSE.search(part))


def _once(answer: str, found: list[Span], form: Form, outside: int = 0) -> Items:
    """Small models say the same again and again, with other marks behind it."""
    first = dict[str, Span]()
    for span in found:
        first.setdefault(" ".join(_WORD.findall(_MARKS.sub("", span.of(answer).casefold()))), span)
    return Items(tuple(first.values()), form, len(found) - len(first), outside)
