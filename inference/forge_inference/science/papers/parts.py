"""Which sentences of a paper a model is shown for which kind of analysis, and what became of the others."""

from dataclasses import dataclass
from typing import Literal

from forge_inference.science.papers.paper import Paper, Sentence
from forge_inference.science.text.headings import Kind

Analysis = Literal["summary", "key_findings", "methodology", "benchmarks", "limitations"]
ANALYSES: tuple[Analysis, ...] = ("summary", "key_findings", "methodology", "benchmarks", "limitations")

_ALWAYS: frozenset[Kind] = frozenset({"body", "unknown", "title"})
_NEEDED: dict[Analysis, frozenset[Kind]] = {
    "summary": frozenset({"abstract", "intro", "results", "discussion", "conclusions"}),
    "key_findings": frozenset({"abstract", "results", "discussion", "conclusions"}),
    "methodology": frozenset({"abstract", "methods"}),
    "benchmarks": frozenset(),  # found by rules alone
    "limitations": frozenset({"discussion", "conclusions", "limitations"}),
}


@dataclass(frozen=True, slots=True)
class Use:
    """Of a section: whether a model is shown it, and why not."""

    kind: Kind
    start: int
    end: int
    used: bool
    reason: str | None


def needed(analyses: frozenset[Analysis]) -> frozenset[Kind]:
    """The kinds of section that a model is shown; none when rules are enough."""
    if not analyses - {"benchmarks"}:
        return frozenset()
    return _ALWAYS.union(*(_NEEDED[analysis] for analysis in analyses))


def shown(paper: Paper, analyses: frozenset[Analysis]) -> list[Sentence]:
    """In their order."""
    kinds = needed(analyses)
    return [sentence for sentence in paper.sentences if sentence.kind in kinds]


def uses(paper: Paper, analyses: frozenset[Analysis]) -> list[Use]:
    """Every section, in its order, by its place in the text as it was sent."""
    kinds, found = needed(analyses), list[Use]()
    for section in paper.sections:
        kind, place = paper.kind_of(section), paper.placed(section.span)
        used = kind in kinds
        reason = None if used else "no analysis that was asked for reads it"
        found.append(Use(kind, place.start, place.end, used, reason))
    return found
