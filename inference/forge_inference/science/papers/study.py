"""What kind of study a paper reports: by words of its methods, each kind with the first place that says so."""

import re
from dataclasses import dataclass

from forge_inference.science.papers.criterion import Trait
from forge_inference.science.papers.paper import Paper, Sentence
from forge_inference.science.text.document import Span

_MANY_TESTS = 5


@dataclass(frozen=True, slots=True)
class Because:
    """A kind of study, and the place that says it."""

    trait: Trait
    span: Span


def _re(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE)


# Each: how often it must be said in the methods before it is believed.
_SAID: dict[Trait, tuple[int, re.Pattern[str]]] = {
    "animal": (
        2,
        _re(
            r"\b(?:mice|mouse|rats?|zebrafish|rabbits?|piglets?|pigs|macaques?|hamsters?|guinea pigs|ferrets?"
            r"|marmosets?)\b"
        ),
    ),
    "human": (
        2,
        _re(
            r"\b(?:participants?|patients?|volunteers|women|men|adolescents|residents|respondents|informed consent"
            r"|institutional review board|healthy (?:adults|controls))\b"
        ),
    ),
    "cells": (
        2,
        _re(
            r"\bcell lines?\b|\bATCC\b|\bcells (?:\([^)]{1,40}\) )?were (?:grown|cultured|obtained|maintained"
            r"|seeded|plated|incubated|transfected|used)"
            r"|\bRPMI\b|\bDMEM\b|\bfetal (?:bovine|calf) serum|\bFBS\b|\bHEK ?293T?\b|\bHeLa\b|\bcell culture\b"
        ),
    ),
    "omics": (
        2,
        _re(r"\bgenome-wide\b|\bRNA-?seq\b|\bproteom|\bGWAS\b|\bsingle-cell\b|\btranscriptom|\bmetabolom|\bmicroarray"),
    ),
}
_COMPUTATIONAL = _re(
    r"\bneural network|\bfine-tun|\bpre-?train|\bbenchmark|\blearning rate\b|\bepochs\b|\bGPUs?\b"
    r"|\bdeep learning\b|\blanguage models?\b"
    r"|\bbatch size\b|\bencoders?\b|\btest sets?\b"
)
_REVIEW = _re(r"\bsystematic review|\bmeta-analysis\b|\bPRISMA\b|\bwe searched\b|\bPROSPERO\b|\bscoping review")
_TRIAL = _re(
    r"\b(?:randomi[sz]ed|controlled|clinical|parallel-group|crossover|pilot)[ ,-]+(?:[\w-]{1,16}[ ,]+){0,5}trial\b"
)
_COHORT = _re(
    r"\bcohort\b|\bretrospective(?:ly)?\b|\bprospective(?:ly)?\b|\bcross-sectional\b|\bcase-control\b|\bregistry\b"
    r"|\bgenome-wide association"
)
_P_VALUE = _re(r"\bp ?[=<>] ?0?\.\d")


def traits(paper: Paper) -> list[Because]:
    """Every kind that applies; a review is of none of the kinds that it reviews."""
    methods = [sentence for sentence in paper.sentences if sentence.kind == "methods"]
    own = [sentence for sentence in paper.sentences if sentence.kind not in {"references", "intro"}]
    front = [sentence for sentence in own if sentence.kind in {"title", "abstract", "methods", "body"}]
    found = list[Because]()
    if review := _often(_REVIEW, front, 3):
        return [Because("review", review)]
    for trait, (times, words) in _SAID.items():
        if place := _often(words, methods, times):
            found.append(Because(trait, place))
    names = {each.trait for each in found}
    if "human" in names and "animal" not in names:
        if place := _often(_TRIAL, front, 1):
            found.append(Because("trial", place))
        elif place := _often(_COHORT, front, 1):
            found.append(Because("cohort", place))
    if place := _often(_COMPUTATIONAL, own, 4):
        found.append(Because("computational", place))
    if names & {"human", "animal", "cells"} and (place := _often(_P_VALUE, own, _MANY_TESTS)):
        found.append(Because("many_tests", place))
    return found


def _often(words: re.Pattern[str], sentences: list[Sentence], times: int) -> Span | None:
    """Where it is said first, if it is said so often."""
    first, count = None, 0
    for sentence in sentences:
        if times_here := sum(1 for _ in words.finditer(sentence.text)):
            first = first or sentence.span
            count += times_here
    return first if count >= times else None
