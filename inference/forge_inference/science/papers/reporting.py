"""Which of 24 criteria a paper addresses. Reporting, not quality: nothing is said of validity, novelty or truth."""

from dataclasses import dataclass
from typing import Literal

from forge_inference.science.papers.criteria import CRITERIA
from forge_inference.science.papers.criterion import Criterion, Trait
from forge_inference.science.papers.paper import Paper, Sentence
from forge_inference.science.papers.study import Because, traits
from forge_inference.science.text.document import Span

Status = Literal["addressed", "addressed_negative", "not_found", "not_applicable", "not_assessable"]
SCHEMA = "reporting-completeness/1"
_METHODS, _WHOLE = 400, 3000  # characters; less is an abstract, whatever its headings say
_LEAST_EXPECTED = 4  # of criteria; below, a share of them says nothing


@dataclass(frozen=True, slots=True)
class Judged:
    """One criterion; `span` is the sentence that addresses it."""

    criterion: Criterion
    status: Status
    span: Span | None
    because: Because | None  # why it is expected


@dataclass(frozen=True, slots=True)
class Report:
    """`assessable` is None, or why a text cannot be judged."""

    traits: tuple[Because, ...]
    judged: tuple[Judged, ...]
    not_assessable: str | None

    def count(self, *statuses: Status) -> int:
        return sum(each.status in statuses for each in self.judged)

    @property
    def expected(self) -> int:
        """How many of the criteria apply to this paper and could be looked for."""
        return self.count("addressed", "addressed_negative", "not_found")

    @property
    def share(self) -> float | None:
        """Addressed of expected; None where that says nothing."""
        if self.expected < _LEAST_EXPECTED:
            return None
        return self.count("addressed", "addressed_negative") / self.expected


def reported(paper: Paper) -> Report:
    """Every criterion with its status."""
    found = traits(paper)
    by_trait = {each.trait: each for each in found}
    if why := _not_assessable(paper):
        return Report(tuple(found), tuple(Judged(each, "not_assessable", None, None) for each in CRITERIA), why)
    return Report(tuple(found), tuple(_judged(paper, each, by_trait) for each in CRITERIA), None)


def _not_assessable(paper: Paper) -> str | None:
    methods = sum(
        section.span.end - section.span.start for section in paper.sections if paper.kind_of(section) == "methods"
    )
    if methods < _METHODS or len(paper.text) < _WHOLE:
        return "no methods section was found: an abstract, or a part of a paper, cannot be said to leave things out"
    return None


def _judged(paper: Paper, criterion: Criterion, by_trait: dict[Trait, Because]) -> Judged:
    because = next((by_trait[trait] for trait in sorted(criterion.expected) if trait in by_trait), None)
    if by_trait.keys() & criterion.not_for or (because is None and not criterion.if_found):
        return Judged(criterion, "not_applicable", None, None)
    said, denied = _places(paper, criterion)
    if said is not None:
        return Judged(criterion, "addressed", said, because)
    if because is None:
        return Judged(criterion, "not_applicable", None, None)
    if denied is not None:
        return Judged(criterion, "addressed_negative", denied, because)
    return Judged(criterion, "not_found", None, because)


def _places(paper: Paper, criterion: Criterion) -> tuple[Span | None, Span | None]:
    """The best sentence that addresses it, and the best that says it was not done."""
    said, denied = list[Sentence](), list[Sentence]()
    for sentence in paper.sentences:
        if not _may(criterion, sentence):
            continue
        if criterion.denied is not None and criterion.denied.search(sentence.text):
            denied.append(sentence)
        elif criterion.found_in(sentence.text) or (sentence.kind == criterion.headed and len(sentence.text) > 1):
            said.append(sentence)
    return _best(criterion, said), _best(criterion, denied)


def _may(criterion: Criterion, sentence: Sentence) -> bool:
    if criterion.only_in:
        return sentence.kind in criterion.only_in
    return sentence.kind not in {"references", "intro"}


def _best(criterion: Criterion, sentences: list[Sentence]) -> Span | None:
    """In the section where it belongs, else anywhere but the abstract, else there; the first of them."""

    def rank(sentence: Sentence) -> tuple[int, int]:
        preferred = criterion.preferred
        if sentence.kind in preferred:
            return preferred.index(sentence.kind), sentence.number
        return len(preferred) + (sentence.kind in {"abstract", "title"}), sentence.number

    return min(sentences, key=rank).span if sentences else None
