"""The figures of the rules, as a section of docs/benchmarks.md."""

import time
from collections.abc import Callable
from datetime import date

from forge_inference.science.concepts.finding import Finder
from forge_inference.science.text.cleaning import clean
from forge_inference.science.text.document import Span
from tests.bench_science.scores import Score, concepts, splitting
from tests.bench_science.truth import FILES, TYPES, abstracts


def section(today: date) -> str:
    """Scores of both halves of the corpus, of grounding, and of three sentence splitters."""
    from tests.bench_science.splitters import SPLITTERS  # here, so that its warnings can be caught

    every = abstracts()
    halves = {half: [each for each in every if each.half == half] for half in FILES}
    scores = {half: concepts(part) for half, part in halves.items()}
    named, sentences = sum(len(each.named) for each in every), sum(len(each.sentences) for each in every)
    lines = [
        f"{len(every)} abstracts of {sentences} sentences, in which {named} things are named, marked by hand.",
        "A mention counts when both of its ends are right to the character of the text as sent.",
        f"{today}. Command: `make bench-science`.",
        "",
        "| found | " + " | ".join(f"{half}: precision | recall | F1 | n" for half in halves) + " |",
        "|---" * (1 + 4 * len(halves)) + "|",
    ]
    for kind in TYPES.values():
        cells = [_cells(scores[half][0].get(kind, Score())) for half in halves]
        lines.append(f"| {kind} | " + " | ".join(cells) + " |")
    lines.append("")
    for half, (_, genes, _) in scores.items():
        lines.append(
            f"* Genes that were given an identifier, {half}: {genes.right} of {genes.right + genes.wrong} the right"
            f" one; of {genes.ambiguous} ambiguous ones {genes.left_open} were left open."
        )
    lines += ["", "| sentences | exact of all, F1 | a paragraph of 136,500 characters |", "|---|---|---|"]
    for name, split in SPLITTERS.items():
        score = splitting(every, split)
        lines.append(f"| {name} | {score.right} of {score.right + score.missed}, {score.f1:.3f} | {_seconds(split)} |")
    return "\n".join([*lines, "", _speed()])


def _cells(score: Score) -> str:
    if not score.right + score.missed + score.wrong:
        return "– | – | – | 0"
    return f"{score.precision:.3f} | {score.recall:.3f} | {score.f1:.3f} | {score.right + score.missed}"


def _seconds(split: Callable[[str], list[Span]]) -> str:
    text = "The cell of E. coli (Fig. 2) was dead. " * 3500
    start = time.process_time()
    split(text)
    return f"{time.process_time() - start:.2f} s"


def _speed() -> str:
    text = " ".join(abstract.text for abstract in abstracts())
    finder = Finder()
    start = time.process_time()
    found = finder.mentions(clean(text).clean)
    seconds = time.process_time() - start
    return f"All abstracts as one text ({len(text):,} characters, {len(found)} mentions) are read in {seconds:.2f} s."
