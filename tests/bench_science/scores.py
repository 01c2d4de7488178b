"""Precision and recall of what was found, exact to the character, and of sentences."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from forge_inference.science.concepts.finding import Finder
from forge_inference.science.concepts.kinds import Mention
from forge_inference.science.text.cleaning import clean
from forge_inference.science.text.document import Span
from forge_inference.science.text.sentences import sentences
from tests.bench_science.truth import Abstract

_NAMES = {"family": "family or complex", "complex": "family or complex", "rsid": "rsID"}


@dataclass(slots=True)
class Score:
    right: int = 0
    wrong: int = 0
    missed: int = 0

    @property
    def precision(self) -> float:
        return self.right / (self.right + self.wrong) if self.right + self.wrong else 1.0

    @property
    def recall(self) -> float:
        return self.right / (self.right + self.missed) if self.right + self.missed else 1.0

    @property
    def f1(self) -> float:
        both = self.precision + self.recall
        return 2 * self.precision * self.recall / both if both else 0.0


@dataclass(slots=True)
class Grounding:
    """Of genes that were found: which were given a symbol, rightly or not, and which were rightly left open."""

    right: int = 0
    wrong: int = 0
    left_open: int = 0  # of those that are ambiguous
    ambiguous: int = 0

    @property
    def precision(self) -> float:
        return self.right / (self.right + self.wrong)


def concepts(abstracts: Iterable[Abstract]) -> tuple[dict[str, Score], Grounding, list[str]]:
    """Scores by type, of grounding, and what was missed or wrong in words."""
    finder, scores, grounding, said = Finder(), dict[str, Score](), Grounding(), list[str]()
    for abstract in abstracts:
        document = clean(abstract.text)
        found = [(document.located(each.span), each) for each in finder.mentions(document.clean)]
        true = {(named.span, named.type) for named in abstract.named}
        got = {(span, _NAMES.get(each.type, each.type)) for span, each in found}
        for kind in {kind for _, kind in true | got}:
            score = scores.setdefault(kind, Score())
            ours, theirs = {one for one in got if one[1] == kind}, {one for one in true if one[1] == kind}
            score.right += len(ours & theirs)
            score.wrong += len(ours - theirs)
            score.missed += len(theirs - ours)
            said += [f"{abstract.name}: wrong {kind} {span.of(abstract.text)!r}" for span, _ in ours - theirs]
            said += [f"{abstract.name}: missed {kind} {span.of(abstract.text)!r}" for span, _ in theirs - ours]
        _ground(abstract, {span: each for span, each in found if each.type == "gene"}, grounding, said)
    return scores, grounding, said


def _ground(abstract: Abstract, found: dict[Span, Mention], grounding: Grounding, said: list[str]) -> None:
    truths = {named.span: named.truth for named in abstract.named if named.type == "gene"}
    for span, mention in found.items():
        truth = truths.get(span)
        if truth == "?":
            grounding.ambiguous += 1
            grounding.left_open += mention.status == "ambiguous"
        if mention.identifier is None:
            continue
        if mention.identifier.name == truth:
            grounding.right += 1
        else:
            grounding.wrong += 1
            said.append(f"{abstract.name}: {mention.text!r} is {truth}, not {mention.identifier.name}")


def splitting(abstracts: Iterable[Abstract], split: Callable[[str], list[Span]]) -> Score:
    """A sentence is right when it begins and ends where it does."""
    score = Score()
    for abstract in abstracts:
        ours, theirs = set(split(abstract.text)), set(abstract.sentences)
        score.right += len(ours & theirs)
        score.wrong += len(ours - theirs)
        score.missed += len(theirs - ours)
    return score


def ours(text: str) -> list[Span]:
    """Sentences, in characters of the text as it is sent."""
    document = clean(text)
    return [document.located(span) for span in sentences(document.clean)]
