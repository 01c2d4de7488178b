"""What a sentence has in common with a claim: relations that anybody can check. None is entailment."""

from dataclasses import dataclass
from typing import Literal

from forge_inference.science.concepts.finding import Finder
from forge_inference.science.genomics.context import content_words
from forge_inference.science.text.folding import folded
from forge_inference.science.text.numbers import numbers

Relation = Literal["verbatim", "numbers_and_entities", "lexical", "none"]
_QUOTE = 8  # words in a row
_OVERLAP = 0.5  # of a claim's words


@dataclass(frozen=True, slots=True)
class Support:
    """`score` is the part of the claim's content words that the sentence has."""

    relation: Relation
    score: float


def support(claim: str, sentence: str, finder: Finder) -> Support:
    """How a sentence of the context supports a claim of the answer."""
    asked, given = content_words(claim), content_words(sentence)
    score = len(asked & given) / len(asked) if asked else 0.0
    if _quotes(claim, sentence):
        return Support("verbatim", score)
    if not _values(claim) <= _values(sentence):
        return Support("none", score)  # a number that the sentence lacks is not supported, whatever the words
    named = _named(claim, finder)
    if named | _values(claim) and named <= _named(sentence, finder) and score >= _OVERLAP / 2:
        return Support("numbers_and_entities", score)
    return Support("lexical" if score >= _OVERLAP else "none", score)


def _quotes(claim: str, sentence: str) -> bool:
    said, given = folded(claim).lower().split(), f" {' '.join(folded(sentence).lower().split())} "
    return any(f" {' '.join(said[at : at + _QUOTE])} " in given for at in range(len(said) - _QUOTE + 1))


def _values(text: str) -> set[object]:
    return {number.value for number in numbers(text)}


def _named(text: str, finder: Finder) -> set[object]:
    return {mention.key for mention in finder.mentions(text)}
