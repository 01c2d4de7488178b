"""Longest names of a table in a text, word by word, so that no name is found inside of another word."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

from forge_inference.science.concepts.lexicon import Entry, Label, Table
from forge_inference.science.text.document import Span
from forge_inference.science.text.folding import folded

# TNFα is two words, as TNF-α is; so are NFκB and NF-κB.
WORD = re.compile(r"[A-Za-z0-9À-ÖØ-öø-ÿ]+(?:'s(?![a-z]))?|[Α-Ωα-ω]")
_GREEK = {"alpha": "α", "beta": "β", "gamma": "γ", "delta": "δ", "epsilon": "ε", "kappa": "κ"}
_BETWEEN = re.compile(r"[-/ .]?")
Key = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Word:
    span: Span
    text: str
    key: str


@dataclass(frozen=True, slots=True)
class Hit:
    """A stretch of text that is written as some labels are, but for upper and lower case."""

    first: int  # of its words
    words: int
    span: Span
    labels: tuple[tuple[Entry, Label], ...]


def words(text: str) -> list[Word]:
    """The words of a text, and under which key each is looked up."""
    return [Word(Span(*found.span()), found[0], _key(found[0])) for found in WORD.finditer(folded(text))]


def _key(word: str) -> str:
    lower = word.lower()
    return _GREEK.get(lower, lower)


class Names:
    """All names of some tables."""

    def __init__(self, tables: Iterable[Table]) -> None:
        self._found: dict[Key, list[tuple[Entry, Label]]] = {}
        self._longest: dict[str, int] = {}
        self._symbols: dict[str, Entry] = {}
        for table in tables:
            for entry in table.entries:
                for label in entry.labels:
                    if label.kind == "symbol":
                        self._symbols[label.text] = entry
                    key = tuple(word.key for word in words(label.text))
                    if key:
                        self._found.setdefault(key, []).append((entry, label))
                        self._longest[key[0]] = max(len(key), self._longest.get(key[0], 0))

    def symbol(self, symbol: str) -> Entry | None:
        """The gene of this approved symbol."""
        return self._symbols.get(symbol)

    def hits(self, text: str, said: list[Word], *, plural: bool) -> Iterator[Hit]:
        """The longest names from each word on that are no part of one found before."""
        at = 0
        while at < len(said):
            hit = self._at(text, said, at, plural)
            if hit:
                yield hit
            at += hit.words if hit else 1

    def _at(self, text: str, said: list[Word], at: int, plural: bool) -> Hit | None:
        longest = min(self._longest.get(said[at].key, 1), len(said) - at)
        for count in range(longest, 0, -1):
            part = said[at : at + count]
            labels = self._labels(tuple(word.key for word in part), plural)
            if labels and all(_joined(text, one, other) for one, other in pairwise(part)):
                return Hit(at, count, Span(part[0].span.start, part[-1].span.end), tuple(labels))
        return None

    def _labels(self, key: Key, plural: bool) -> list[tuple[Entry, Label]]:
        found = self._found.get(key, [])
        last = key[-1]
        if not found and plural and len(last) > 4 and last.endswith("s"):
            found = self._found.get((*key[:-1], last[:-1]), [])
        return found


def _joined(text: str, one: Word, other: Word) -> bool:
    between = folded(text[one.span.end : other.span.start])
    return bool(_BETWEEN.fullmatch(between))
