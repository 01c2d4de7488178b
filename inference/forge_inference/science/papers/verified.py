"""Whether a statement can be checked: its quotations stand in the paper, and its numbers stand in its quotations."""

import re
from collections.abc import Iterable
from decimal import Decimal

from forge_inference.science.papers.paper import Paper
from forge_inference.science.text.document import Span
from forge_inference.science.text.folding import folded
from forge_inference.science.text.numbers import numbers

_HYPHENS = str.maketrans("‐‑", "--")  # which names are written with: the 2 of PaCa‑2 is no number
_LEAST = 12  # characters of a quotation; what is shorter stands anywhere
_SPACE = re.compile(r"\s+")


def unsupported(statement: str, evidence: Iterable[str]) -> list[str]:
    """The numbers of a statement that none of its quotations has, as the statement writes them."""
    known = {value for text in evidence for value, _ in _stated(text)}
    return [written for value, written in _stated(statement) if value not in known]


def _stated(text: str) -> list[tuple[Decimal, str]]:
    text = text.translate(_HYPHENS)
    return [(number.value.normalize(), number.span.of(text)) for number in numbers(text)]


def found(paper: Paper, quotation: str) -> Span | None:
    """Where the paper says this, word for word; kinds of dashes, quotes and spaces may differ. None: nowhere."""
    words = _SPACE.split(folded(quotation).strip())
    if len(" ".join(words)) < _LEAST:
        return None
    place = re.search(r"\s+".join(map(re.escape, words)), paper.folded)
    return Span(*place.span()) if place else None
