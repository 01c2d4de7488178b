"""Abbreviations that a text defines: "allergic rhinitis (AR)", after Schwartz and Hearst."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from forge_inference.science.text.document import Span

_SHORT = re.compile(r"\(([A-Za-zα-ω][A-Za-z0-9α-ωΑ-Ω/+-]{1,9})(?:[;,][^()]{0,60})?\)")
_WORDS = re.compile(r"[^\s(),;:]+")


@dataclass(frozen=True, slots=True)
class Definition:
    """`long` is what stands before the brackets."""

    short: str
    long: str
    span: Span  # of the long form


def definitions(text: str) -> dict[str, Definition]:
    """By their short forms; the first definition holds."""
    found: dict[str, Definition] = {}
    for each in _all(text):
        found.setdefault(each.short, each)
    return found


def _all(text: str) -> Iterator[Definition]:
    for brackets in _SHORT.finditer(text):
        short = brackets[1]
        if not any(letter.isupper() for letter in short):
            continue
        start = max(0, brackets.start() - 160)
        before = text[start : brackets.start()]
        longest = min(len(short) + 5, 2 * len(short))
        candidates = list(_WORDS.finditer(before))[-longest:]
        if not candidates or before[candidates[-1].end() :].strip():
            continue
        begin = _begin(short, before, candidates[0].start())
        if begin is not None:
            long = before[begin:].strip()
            yield Definition(short, long, Span(start + begin, start + begin + len(long)))


def _begin(short: str, before: str, first: int) -> int | None:
    """Where the long form begins: every letter of the short form in its order, the first one at a word's beginning."""
    place = len(before) - 1
    letters = [letter.lower() for letter in short if letter.isalnum()]
    for number, letter in reversed(list(enumerate(letters))):
        while place >= first and not (
            before[place].lower() == letter and (number > 0 or place == first or not before[place - 1].isalnum())
        ):
            place -= 1
        if place < first:
            return None
        place -= 1
    begin = place + 1
    return begin if len(before[begin:].strip()) > len(short) else None
