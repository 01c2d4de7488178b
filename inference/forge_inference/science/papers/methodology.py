"""What the methods say, by rule: organisms, numbers of subjects, statistical tests, software."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from forge_inference.science.papers.paper import Paper
from forge_inference.science.papers.words import NUMBER_WORDS, TESTS, TOOLS
from forge_inference.science.text.document import Span

_ORGANISMS = {
    10090: ("Mus musculus", re.compile(r"\b(?:mice|mouse|murine|C57BL/6\w{0,2}|BALB/c)\b", re.IGNORECASE)),
    10116: ("Rattus norvegicus", re.compile(r"\b(?:rats?|Sprague[- ]Dawley|Long[- ]Evans|Wistar)\b", re.IGNORECASE)),
    9606: (
        "Homo sapiens",
        re.compile(r"\b(?:patients|participants|volunteers|humans?|women|men|adults|children)\b", re.IGNORECASE),
    ),
    7955: ("Danio rerio", re.compile(r"\bzebrafish\b", re.IGNORECASE)),
    7227: ("Drosophila melanogaster", re.compile(r"\b(?:Drosophila|fruit fl(?:y|ies))\b", re.IGNORECASE)),
    6239: ("Caenorhabditis elegans", re.compile(r"\bC(?:\.|aenorhabditis) elegans\b")),
    4932: ("Saccharomyces cerevisiae", re.compile(r"\b(?:S(?:\.|accharomyces) cerevisiae|budding yeast)\b")),
    562: ("Escherichia coli", re.compile(r"\bE(?:\.|scherichia) coli\b")),
    3702: ("Arabidopsis thaliana", re.compile(r"\bArabidopsis\b")),
}
_SAMPLE = re.compile(
    rf"\bn ?= ?[\d,]{{1,12}}\b|\b(?:\d[\d,]{{0,11}}|{NUMBER_WORDS}) (?:[\w-]{{1,14}} ){{0,2}}(?:participants"
    rf"|patients|women|men|mice|rats"
    r"|animals|adults|children|adolescents|volunteers|individuals|residents|trials|studies)\b",
    re.IGNORECASE,
)
_SOFTWARE = re.compile(
    rf"\b(?P<name>{TOOLS}),? (?:\([^)]{{1,40}}\) ?)?(?:software |package )?(?:version |v\.? ?"
    rf"|release )?(?P<version>R20\d\d[ab]?|\d{{1,4}}(?:\.\d{{1,4}}){{0,3}})"
)
_TEST = re.compile(TESTS, re.IGNORECASE)
_MOST = 50  # of each kind


@dataclass(frozen=True, slots=True)
class Said:
    """One thing of a kind, and its first place; `value` is a version, a count or an identifier of its kind."""

    name: str
    value: str | None
    span: Span


@dataclass(frozen=True, slots=True)
class Methodology:
    """Each with the places it is said at. What the methods do not say is not in here."""

    organisms: tuple[Said, ...]
    samples: tuple[Said, ...]
    tests: tuple[Said, ...]
    software: tuple[Said, ...]


def methodology(paper: Paper) -> Methodology:
    """Of the methods alone, or of a text without headings."""
    own = [sentence for sentence in paper.sentences if sentence.kind == "methods"]
    own = own or [sentence for sentence in paper.sentences if sentence.kind == "body"]

    def said(pattern: re.Pattern[str]) -> Iterator[tuple[re.Match[str], Span]]:
        for sentence in own:
            for found in pattern.finditer(sentence.text):
                yield found, Span(*found.span()).shifted(sentence.span.start)

    return Methodology(
        organisms=_once(
            Said(name, f"NCBITaxon:{number}", span)
            for number, (name, pattern) in _ORGANISMS.items()
            for _, span in said(pattern)
        ),
        samples=_once(Said(found[0], None, span) for found, span in said(_SAMPLE)),
        tests=_once(Said(found[0], None, span) for found, span in said(_TEST)),
        software=_once(Said(found["name"], found["version"], span) for found, span in said(_SOFTWARE)),
    )


def _once(found: Iterator[Said]) -> tuple[Said, ...]:
    first: dict[tuple[str, str | None], Said] = {}
    for each in found:
        first.setdefault((each.name.lower(), each.value), each)
    return tuple(first.values())[:_MOST]
