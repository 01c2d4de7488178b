"""What a model is asked of a paper. Small models keep to lines and sentence numbers better than to JSON."""

import hashlib
from collections.abc import Iterable
from typing import Literal

_MAP = """Numbered sentences of a scientific paper:

{sentences}

Say what these sentences state, one statement a line, in this form:
FINDING: statement [S1]
METHOD: statement [S2, S3]
LIMITATION: statement [S4]
Each line ends with the numbers of the sentences it rests on. Copy numbers exactly. Say nothing else."""
_REDUCE = """Numbered sentences of a scientific paper:

{sentences}

Summarise the paper in at most {most} sentences. Each ends with the numbers of the sentences it rests on, as in [S1]. \
Copy numbers exactly. Use nothing but these sentences.{style}"""
Style = Literal["abstract", "plain_language"]
_STYLES: dict[Style, str] = {
    "abstract": "",
    "plain_language": " Write for readers who are no scientists: short sentences, everyday words, no abbreviations.",
}

TEMPLATES = {
    name: hashlib.sha256(text.encode()).hexdigest()
    for name, text in (("map", _MAP), ("reduce", _REDUCE), ("plain_language", _STYLES["plain_language"]))
}


def line(number: int, text: str) -> str:
    """A sentence as the model is shown it."""
    return f"[S{number}] {' '.join(text.split())}"


def to_state(lines: Iterable[str]) -> str:
    """The question about a part of the paper."""
    return _MAP.format(sentences="\n".join(lines))


def to_summarise(lines: Iterable[str], most: int, style: Style = "abstract") -> str:
    """The question about the sentences that the answers to the first one rest on."""
    return _REDUCE.format(sentences="\n".join(lines), most=most, style=_STYLES[style])
