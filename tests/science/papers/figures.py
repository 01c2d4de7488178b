"""How often the rules on papers are right."""

from collections import Counter
from collections.abc import Hashable, Iterable
from dataclasses import dataclass, field
from decimal import Decimal

from forge_inference.science.papers.datasets import datasets
from forge_inference.science.papers.limitations import stated
from forge_inference.science.papers.paper import Quote
from forge_inference.science.papers.reporting import reported
from forge_inference.science.papers.results import results
from forge_inference.science.papers.statistics import recomputed
from forge_inference.science.papers.verified import unsupported
from tests.science.papers.corpus import Labelled


@dataclass
class Tally:
    """True positives, false ones, and what was missed."""

    right: int = 0
    wrong: int = 0
    missed: int = 0

    def add(self, found: Iterable[Hashable], truth: Iterable[Hashable]) -> None:
        found, truth = set(found), set(truth)
        self.right += len(found & truth)
        self.wrong += len(found - truth)
        self.missed += len(truth - found)

    @property
    def precision(self) -> float:
        return self.right / ((self.right + self.wrong) or 1)

    @property
    def recall(self) -> float:
        return self.right / ((self.right + self.missed) or 1)

    @property
    def f1(self) -> float:
        return 2 * self.right / ((2 * self.right + self.wrong + self.missed) or 1)


@dataclass
class Figures:
    """Over some papers. `criteria`: whether each is addressed, also where it is said that it was not done."""

    papers: int = 0
    criteria: dict[str, Tally] = field(default_factory=dict)
    statuses: Counter[bool] = field(default_factory=Counter)  # of five, exactly
    quotes: Counter[bool] = field(default_factory=Counter)  # whether the quotation meets the one in the truth
    statistics: Counter[bool] = field(default_factory=Counter)
    numbers: Counter[bool] = field(default_factory=Counter)
    datasets: Tally = field(default_factory=Tally)
    roles: Counter[bool] = field(default_factory=Counter)
    results: Tally = field(default_factory=Tally)
    limitations: Tally = field(default_factory=Tally)

    @property
    def macro_f1(self) -> float:
        """Over the criteria that some paper addresses, or some rule says so of."""
        met = [tally.f1 for tally in self.criteria.values() if tally.right + tally.wrong + tally.missed]
        return sum(met) / len(met)


def measured(corpus: Iterable[Labelled]) -> Figures:
    figures = Figures()
    for each in corpus:
        figures.papers += 1
        _criteria(figures, each)
        found = [(one.span.of(each.paper.folded), one.decision) for one in recomputed(each.paper.folded)]
        wanted = [
            (each.paper.folded[_at(each, raw) :][: len(raw)], decision) for raw, decision in each.truth["statistics"]
        ]
        figures.statistics.update(pair in found for pair in wanted)
        figures.statistics.update(False for pair in found if pair not in wanted)
        for sentence, numbers in each.truth["numbers"]:
            said = " ".join(str(number) for number in numbers)
            both = unsupported(said, [sentence]) + unsupported(sentence, [said])
            figures.numbers[not both] += 1
        _datasets(figures, each)
        _limitations(figures, each)
    return figures


def _at(each: Labelled, raw: str) -> int:
    return each.paper.text.index(raw)


def _criteria(figures: Figures, each: Labelled) -> None:
    for judged in reported(each.paper).judged:
        status, *quote = each.truth["criteria"][judged.criterion.id]
        tally = figures.criteria.setdefault(judged.criterion.id, Tally())
        found, truth = judged.status.startswith("addressed"), status.startswith("addressed")
        tally.add([1] if found else [], [1] if truth else [])
        figures.statuses[judged.status == status] += 1
        if found and truth and judged.span is not None:
            figures.quotes[_meets(each, each.paper.quoted(judged.span), quote[0])] += 1


def _meets(each: Labelled, found: Quote, quote: str) -> bool:
    place = each.sent.find(quote)
    while place >= 0:
        if found.start < place + len(quote) and place < found.end:
            return True
        place = each.sent.find(quote, place + 1)
    return False


def _datasets(figures: Figures, each: Labelled) -> None:
    found = {dataset.name: dataset for dataset in datasets(each.paper)}
    truth = {str(name): (kind, role) for name, kind, role in each.truth["datasets"]}
    figures.datasets.add(found, truth)
    figures.roles.update((found[name].kind, found[name].role) == truth[name] for name in found.keys() & truth.keys())
    rows, _ = results(each.paper)
    figures.results.add(
        [(row.dataset, row.metric, row.value) for row in rows],
        [(dataset, metric, Decimal(value)) for _, dataset, metric, value in each.truth["results"]],
    )


def _limitations(figures: Figures, each: Labelled) -> None:
    found = [each.paper.quoted(sentence.span) for sentence in stated(each.paper)]
    truth = each.truth["limitations"]
    met = {quote for quote in truth if any(_meets(each, one, quote) for one in found)}
    figures.limitations.right += len(met)
    figures.limitations.missed += len(truth) - len(met)
    figures.limitations.wrong += sum(not any(_meets(each, one, quote) for quote in truth) for one in found)
