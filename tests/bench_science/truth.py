"""Abstracts and what is true of them: every sentence, and everything that they name."""

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from forge_inference.science.text.document import Span

CORPUS = Path(__file__).parent.parent / "science" / "corpus"
FILES = {"seen": CORPUS / "abstracts-seen.txt", "held out": CORPUS / "abstracts-held-out.txt"}
TYPES = {
    "g": "gene", "f": "family or complex", "v": "variant", "r": "rsID", "a": "accession", "d": "disease",
    "p": "pathway", "m": "drug",
}  # fmt: skip
_MARKED = re.compile(r"\{([^{}|]+)(?:\|([gfvradpm])(?:\|([^{}|]+))?)?\}")


@dataclass(frozen=True, slots=True)
class Named:
    """Something in an abstract, in characters of the abstract as it is sent."""

    span: Span
    type: str
    truth: str | None  # a gene's symbol; ? ~ *: as the corpus says


@dataclass(frozen=True, slots=True)
class Abstract:
    name: str
    half: str
    text: str
    sentences: tuple[Span, ...]
    named: tuple[Named, ...]


@cache
def abstracts() -> tuple[Abstract, ...]:
    return tuple(_abstract(half, part) for half, path in FILES.items() for part in path.read_text().split("\n=== ")[1:])


def _abstract(half: str, part: str) -> Abstract:
    name, *lines = part.strip().split("\n")
    text, sentences, named = "", list[Span](), list[Named]()
    for line in lines:
        text += " " if text else ""
        start, done = len(text), 0
        for mark in _MARKED.finditer(line):
            text += line[done : mark.start()]
            if mark[2]:
                truth = mark[3] or (mark[1] if mark[2] == "g" else None)
                named.append(Named(Span(len(text), len(text) + len(mark[1])), TYPES[mark[2]], truth))
            text += mark[1]
            done = mark.end()
        text += line[done:]
        sentences.append(Span(start, len(text)))
    return Abstract(name, half, text, tuple(sentences), tuple(named))
