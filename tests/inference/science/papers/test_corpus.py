"""How often the rules must be right on papers with hand-made truth. docs/benchmarks.md has the figures."""

import pytest

from forge_inference.science.papers.criteria import CRITERIA
from tests.science.papers.corpus import papers
from tests.science.papers.figures import Figures, measured

PAPERS = papers()


@pytest.fixture(scope="module", params=["tuned on", "held out"])
def figures(request: pytest.FixtureRequest) -> Figures:
    return measured(paper for paper in PAPERS if paper.held_out == (request.param == "held out"))


def test_the_truth_quotes_the_papers_and_knows_every_criterion() -> None:
    for paper in PAPERS:
        truth = paper.truth
        assert set(truth["criteria"]) == {criterion.id for criterion in CRITERIA}
        quotes = [quote for _, *found in truth["criteria"].values() for quote in found]
        quotes += (
            truth["limitations"] + [raw for raw, _ in truth["statistics"]] + [said for said, _ in truth["numbers"]]
        )
        assert [quote for quote in quotes if quote not in paper.sent] == []


def test_there_are_24_criteria_and_enough_papers() -> None:
    assert len(CRITERIA) == 24
    assert sum(not paper.held_out for paper in PAPERS) >= 6
    assert sum(paper.held_out for paper in PAPERS) >= 2


def test_criteria_are_found_where_a_person_finds_them(figures: Figures) -> None:
    assert figures.macro_f1 >= 0.85
    assert figures.quotes[True] >= 0.9 * figures.quotes.total()


def test_every_reported_statistic_is_recomputed_and_judged_right(figures: Figures) -> None:
    assert figures.statistics[False] == 0
    assert figures.statistics[True] > 0


def test_every_number_is_read_and_nothing_else(figures: Figures) -> None:
    assert figures.numbers[False] == 0


def test_what_is_told_of_data_results_and_limitations_is_mostly_right(figures: Figures) -> None:
    for tally in (figures.datasets, figures.results, figures.limitations):
        assert tally.precision >= 0.85
        assert tally.recall >= 0.9
