"""What a model wrote, taken apart: sections, claims, the sentences it names, and whether it declined."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from forge_inference.science.concepts.finding import Finder
from forge_inference.science.genomics.context import Context, Sentence, content_words
from forge_inference.science.genomics.questions import ABSTAIN, KINDS, QueryType
from forge_inference.science.genomics.support import Support, support
from forge_inference.science.text.document import Span
from forge_inference.science.text.sentences import sentences

_MARKER = re.compile(r"\[\s*S\d{1,6}(?:\s*(?:[,;]|[-–]|and)\s*S?\d{1,6}){0,19}\s*\]")
_ITEM = re.compile(r"(\d{1,6})(?:\s*[-–]\s*S?(\d{1,6}))?")
_BULLET = r"^[ \t]*(?:#{1,6}[ \t]*|[-*•][ \t]*|\d[.)][ \t]*)?\**"
_SHORTEST = 3  # words of a claim
_WIDEST = 50  # sentences of one range


@dataclass(frozen=True, slots=True)
class Citation:
    """`claim` is of the answer; the sentence is where the context says it, as the model or the words say."""

    claim: Span
    sentence: Sentence
    marker: str | None
    attribution: Literal["model_marker", "post_hoc"]
    support: Support


@dataclass(frozen=True, slots=True)
class Dropped:
    raw: str
    reason: str


@dataclass(frozen=True, slots=True)
class Cited:
    claims: tuple[Span, ...]
    citations: tuple[Citation, ...]
    dropped: tuple[Dropped, ...]

    @property
    def supported(self) -> int:
        """Claims that at least one sentence supports in some checkable way."""
        return len({each.claim for each in self.citations if each.support.relation != "none"})


def declines(answer: str) -> bool:
    return ABSTAIN in " ".join(answer.upper().split())


def sections(answer: str, kind: QueryType) -> dict[str, str]:
    """What stands under the headings that were asked for; what the model left out is left out."""
    names = KINDS[kind].sections
    asked = "|".join(map(re.escape, names.values()))
    heads = re.compile(rf"{_BULLET}(?P<name>{asked})\**[ \t]*(?::|\n|$)\**", re.IGNORECASE | re.MULTILINE)
    found, keys = dict[str, str](), {name.lower(): key for key, name in names.items()}
    places = list(heads.finditer(answer))
    ends = [*(place.start() for place in places[1:]), len(answer)]
    for place, end in zip(places, ends, strict=bool(places)):
        said = answer[place.end() : end].strip()
        if said:
            found.setdefault(keys[place["name"].lower()], said)
    return found


def cited(answer: str, context: Context, shown: Sequence[Sentence], finder: Finder) -> Cited:
    """The answer's claims with their sentences: those that the model names, or where it names none, the likest ones."""
    claims, citations, dropped = list[Span](), list[Citation](), list[Dropped]()
    there = {sentence.number for sentence in shown}
    for span in sentences(answer):
        said = span.of(answer)
        claim = _MARKER.sub("", said)
        if len(re.findall(r"\w{2,}", claim)) < _SHORTEST:
            continue
        claims.append(span)
        for marker in _MARKER.finditer(said):
            for number in _numbers(marker[0]):
                sentence = context.numbered(number)
                if sentence is None or number not in there:
                    reason = "no such sentence" if sentence is None else "the model was not shown this sentence"
                    dropped.append(Dropped(f"[S{number}]", reason))
                    continue
                found = support(claim, sentence.shown, finder)
                citations.append(Citation(span, sentence, marker[0], "model_marker", found))
    if shown and not citations and not dropped:
        citations = [each for span in claims if (each := _likest(answer, span, shown, finder))]
    return Cited(tuple(claims), tuple(citations), tuple(dropped))


def _numbers(marker: str) -> list[int]:
    found = list[int]()
    for item in _ITEM.finditer(marker.replace("S", "")):
        first, last = int(item[1]), int(item[2] or item[1])
        found += range(first, min(last, first + _WIDEST) + 1)
    return found


def _likest(answer: str, span: Span, shown: Sequence[Sentence], finder: Finder) -> Citation | None:
    words = content_words(span.of(answer))
    best = max(shown, key=lambda sentence: (len(words & sentence.words), -sentence.number))
    found = support(span.of(answer), best.shown, finder)
    return None if found.relation == "none" else Citation(span, best, None, "post_hoc", found)
