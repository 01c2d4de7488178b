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

# "S1:" before a line is how small models repeat what they were shown.
_MARKER = re.compile(r"\[\s*S\d{1,6}(?:\s*(?:[,;]|[-–]|and)\s*S?\d{1,6}){0,19}\s*\]|^S\d{1,6}:(?=\s)", re.MULTILINE)
_BEHIND = re.compile(rf"(?:(?:{_MARKER.pattern})[\s.]*)+")
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
    def unsupported(self) -> tuple[Span, ...]:
        """Claims that no sentence supports in a way that anybody could check."""
        supported = {each.claim for each in self.citations if each.support.relation != "none"}
        return tuple(claim for claim in self.claims if claim not in supported)

    @property
    def supported(self) -> int:
        """How many claims at least one sentence supports."""
        return len(self.claims) - len(self.unsupported)


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


def cited(
    answer: str, context: Context, shown: Sequence[Sentence], finder: Finder, items: Sequence[Span] | None = None
) -> Cited:
    """The answer's claims with their sentences: those that the model names, or where it names none, the likest one.

    `items` of a list are claims however short they are; else sentences are.
    """
    citations, dropped, there = list[Citation](), list[Dropped](), {sentence.number for sentence in shown}
    said = _sentences(answer) if items is None else [(span, _marks(span.of(answer))) for span in items]
    claims = [(span, marks) for span, marks in said if items is not None or _says_something(span.of(answer))]
    dropped += [Dropped(mark, "no claim stands beside it") for each in said if each not in claims for mark in each[1]]
    for span, marks in claims:
        claim = _MARKER.sub("", span.of(answer))
        for mark in marks:
            for number in _numbers(mark):
                sentence = context.numbered(number)
                if sentence is None or number not in there:
                    reason = "no such sentence" if sentence is None else "the model was not shown this sentence"
                    dropped.append(Dropped(f"[S{number}]", reason))
                    continue
                found = support(claim, sentence.shown, finder)
                citations.append(Citation(span, sentence, mark, "model_marker", found))
        if shown and not marks and (likest := _likest(answer, span, shown, finder)):
            citations.append(likest)
    return Cited(tuple(span for span, _ in claims), tuple(citations), tuple(dropped))


def _sentences(answer: str) -> list[tuple[Span, list[str]]]:
    """Each with its markers, also with those behind its stop: "It fell. [S1] Then it rose." """
    found = list[tuple[Span, list[str]]]()
    for span in sentences(answer):
        line = answer[answer.rfind("\n", 0, span.start) + 1 : span.start]
        if found and line.strip() and (behind := _BEHIND.match(answer, *span)):
            found[-1][1].extend(_marks(behind[0]))
            span = Span(behind.end(), span.end)
        if span.start < span.end:
            found.append((span, _marks(span.of(answer))))
    return found


def unmarked(item: str) -> str:
    """An item of a list without its markers and what sets it in bold."""
    return " ".join(re.sub(r"\*\*|__|`", "", _MARKER.sub("", item)).split()).strip(" .,;:")


def _marks(text: str) -> list[str]:
    return [marker[0] for marker in _MARKER.finditer(text)]


def _says_something(text: str) -> bool:
    return len(re.findall(r"\w{2,}", _MARKER.sub("", text))) >= _SHORTEST


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
