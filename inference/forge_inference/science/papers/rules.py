"""Everything about a paper that no model is needed for."""

import asyncio
import pickle
import signal
from collections.abc import Collection
from dataclasses import dataclass

from forge_inference.science.papers.datasets import Dataset, datasets
from forge_inference.science.papers.limitations import stated
from forge_inference.science.papers.methodology import Methodology, methodology
from forge_inference.science.papers.paper import Paper
from forge_inference.science.papers.parts import Analysis
from forge_inference.science.papers.process import run
from forge_inference.science.papers.reporting import Report, reported
from forge_inference.science.papers.results import Dropped, Result, results
from forge_inference.science.papers.source import Source, Unreadable
from forge_inference.science.papers.statistics import Recomputed, recomputed
from forge_inference.science.text.document import Span
from forge_inference.science.text.offsets import OffsetUnit

_PROGRAM = "forge_inference.science.papers.program"
_LONGEST = 120  # seconds on a busy machine; the process has less of the CPU
_SHORT = 20_000  # characters, which take a thread less time than a process takes to start


@dataclass(frozen=True, slots=True)
class Wish:
    """What is to be found, and how it is told."""

    analyses: Collection[Analysis]
    offset_unit: OffsetUnit
    strip_citations: bool


@dataclass(frozen=True, slots=True)
class Rules:
    """What rules found; None where it was not asked for."""

    source: Source
    paper: Paper
    reporting: Report
    statistics: list[Recomputed]
    datasets: list[Dataset]
    results: tuple[list[Result], list[Dropped]]
    methods: Methodology | None
    limitations: list[Span]


def rules(source: Source, wish: Wish) -> Rules:
    """Read the text, and everything that no model is needed for. Takes about a second for 40 pages."""
    paper = Paper(source.text, source.page_starts, wish.offset_unit, strip_citations=wish.strip_citations)
    benchmarks = "benchmarks" in wish.analyses
    return Rules(
        source=source,
        paper=paper,
        reporting=reported(paper),
        statistics=recomputed(paper.folded),
        datasets=datasets(paper) if benchmarks else [],
        results=results(paper) if benchmarks else ([], []),
        methods=methodology(paper) if "methodology" in wish.analyses else None,
        limitations=[sentence.span for sentence in stated(paper)] if "limitations" in wish.analyses else [],
    )


async def read(source: Source, wish: Wish) -> Rules:
    """The same beside short questions: a long text is read by a process of its own. Raises Unreadable.

    The interpreter computes one thread at a time, so one that reads for a second makes everybody wait.
    """
    if len(source.characters) <= _SHORT:
        return await asyncio.to_thread(rules, source, wish)
    try:
        ended = await run(_PROGRAM, pickle.dumps((source, wish)), _LONGEST)
    except TimeoutError as error:
        raise Unreadable("too_slow", f"reading it takes more than {_LONGEST} s: send a part of it") from error
    if ended.status in (-signal.SIGXCPU, -signal.SIGKILL):
        raise Unreadable("too_slow", "reading it takes far more time or memory than a paper does: send a part of it")
    if ended.status != 0:
        raise RuntimeError(f"the reader of a paper ended ({ended.status}): {ended.error}")
    found: Rules = pickle.loads(ended.output)  # noqa: S301 - our own program wrote it
    return found
