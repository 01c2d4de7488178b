"""How sure a model was, by what can be counted: likelihoods of given answers, and samples that agree."""

import math
import re
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from forge_inference.science.genomics.answers import declines
from forge_inference.science.genomics.lists import items
from forge_inference.science.text.folding import folded

_MARKER = re.compile(r"\[\s*S\d[^\]\n]{0,80}\]")
_WORD = re.compile(r"[^\W_]+")


def softmax(logprobs: Sequence[float], temperature: float = 1.0) -> list[float]:
    """Each option's part, of log-probabilities that are divided by the temperature first."""
    highest = max(logprobs)
    parts = [math.exp((logprob - highest) / temperature) for logprob in logprobs]
    total = math.fsum(parts)
    return [part / total for part in parts]


@dataclass(frozen=True, slots=True)
class Agreement:
    """Of so many samples, how many say the same as the one at the place `chosen`, the first of the largest group."""

    samples: int
    agreeing: int
    chosen: int

    @property
    def share(self) -> float:
        return self.agreeing / self.samples


def agreement(answers: Sequence[str], form: str) -> Agreement:
    """The largest group of equal answers; of two as large, the one that was begun first."""
    groups: dict[Hashable, list[int]] = {}
    for place, answer in enumerate(answers):
        groups.setdefault(normalised(answer, form), []).append(place)
    largest = max(groups.values(), key=lambda places: (len(places), -places[0]))
    return Agreement(len(answers), len(largest), largest[0])


def normalised(answer: str, form: str) -> Hashable:
    """What must be equal for two answers to be: words in their order, or the items of a list in any.

    Case, punctuation, bullets and markers of sentences do not count. All that decline are equal. Signs count where
    they carry meaning: +1 is not -1.
    """
    if declines(answer):
        return "declined"
    if form != "list":
        return _words(answer)
    found = items(answer)
    return frozenset(_words(span.of(answer)) for span in found.spans) if found.form else _words(answer)


def _words(text: str) -> tuple[str, ...]:
    said = _MARKER.sub(" ", folded(text)).casefold()
    found = []
    for word in _WORD.finditer(said):
        sign = said[word.start() - 1] if word.start() and word[0][0].isdigit() else ""
        begins = word.start() < 2 or not said[word.start() - 2].isalnum()
        found.append(f"{sign}{word[0]}" if sign in ("-", "+", ".") and begins else word[0])
    return tuple(found)
