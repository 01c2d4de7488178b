"""`python -m tests.science.papers`: how often the rules on papers are right, as a section of docs/benchmarks.md."""

from pathlib import Path

from tests.bench.section import write_section
from tests.science.papers.corpus import papers
from tests.science.papers.figures import Figures, Tally, measured

PAGE = Path(__file__).parents[3] / "docs" / "benchmarks.md"
BEGIN, END = "<!-- papers: written by `python -m tests.science.papers` -->", "<!-- papers: end -->"


def section(tuned: Figures, held: Figures) -> str:
    both = (tuned, held)
    rows = [
        ("papers", [str(each.papers) for each in both]),
        ("24 criteria, macro-F1 of “addressed”", [f"{each.macro_f1:.2f}" for each in both]),
        ("exact status, of five", [_of(each.statuses) for each in both]),
        ("quotation meets the one that a person chose", [_of(each.quotes) for each in both]),
        ("statistics recomputed, same decision", [_of(each.statistics) for each in both]),
        ("sentences whose numbers are all read, and no others", [_of(each.numbers) for each in both]),
        ("data sets and benchmarks named", [_rates(each.datasets) for each in both]),
        ("their kind and role", [_of(each.roles) for each in both]),
        ("results: benchmark, metric, value", [_rates(each.results) for each in both]),
        ("limitations stated by the authors", [_rates(each.limitations) for each in both]),
    ]
    lines = [
        "| | tuned on | held out |",
        "|---|---|---|",
        *(f"| {what} | {' | '.join(found)} |" for what, found in rows),
    ]
    lines += ["", "| criterion | precision / recall, tuned on | held out |", "|---|---|---|"]
    lines += [f"| {name} | {_rates(tuned.criteria[name])} | {_rates(held.criteria[name])} |" for name in tuned.criteria]
    return "\n".join(lines)


def _of(counts: dict[bool, int]) -> str:
    return f"{counts.get(True, 0)} of {sum(counts.values())}"


def _rates(tally: Tally) -> str:
    if not tally.right + tally.wrong + tally.missed:
        return "–"
    return f"{tally.precision:.2f} / {tally.recall:.2f}"


def main() -> None:
    corpus = papers()
    text = section(measured(p for p in corpus if not p.held_out), measured(p for p in corpus if p.held_out))
    print(text)
    write_section(text, PAGE, BEGIN, END)


if __name__ == "__main__":
    main()
