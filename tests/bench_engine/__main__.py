"""`make bench-engine`: new tokens a second, side by side in one run, written to docs/benchmarks.md."""

import argparse
import asyncio
import itertools
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from pathlib import Path

from tests.bench.section import write_section
from tests.bench_engine import models, overload, report
from tests.bench_engine.contenders import Ask, llama_cpp, locked, ours, transformers_serve, without_http
from tests.bench_engine.report import Point, Table
from tests.harness.places import ROOT
from tests.harness.steps import say

NEW = 32  # tokens of each answer
LEAST = 2.0  # seconds of measuring, each turn
POINTS = [Point(prompt, crowd) for prompt in (32, 512) for crowd in (1, 8, 32)]
Contender = Callable[[], AbstractAsyncContextManager[Ask]]


async def _speed(ask: Ask, point: Point, numbers: Iterator[int]) -> float:
    """New tokens a second of a crowd that asks at once, again until it took long enough to tell.

    No two prompts begin alike: nobody shall remember.
    """
    made, start = 0, time.monotonic()
    while (took := time.monotonic() - start) < LEAST:
        texts = [f"{next(numbers)} {'gene ' * (point.prompt - 4)}" for _ in range(point.crowd)]
        made += sum(await asyncio.gather(*(ask(text, NEW) for text in texts)))
    return made / took


async def _measured(model: str, contenders: dict[str, Contender], points: list[Point]) -> report.Rows:
    """All are up at once and take turns: a machine that is slower for some minutes is slower for all of them."""
    rows: dict[str, dict[Point, list[float]]] = {name: {point: [] for point in points} for name in contenders}
    numbers = itertools.count(1000)
    async with AsyncExitStack() as stack:
        asks = {}
        for name, contender in contenders.items():
            asks[name] = await stack.enter_async_context(contender())
            await asks[name]("warm up", 4)
            say(f"{model}, {name}: up")
        turns = [(point, turn) for point in points for turn in range(1, _rounds(point) + 1)]
        for point, turn in turns:
            for name, ask in asks.items():
                crowd = min(point.crowd, 8) if name == report.LOCK else point.crowd  # more would only wait longer
                rows[name][point].append(await _speed(ask, Point(point.prompt, crowd), numbers))
            found = ", ".join(f"{row[point][-1]:.1f}" for row in rows.values())
            where = f"prompt {point.prompt}, {point.crowd} at once, round {turn} of {_rounds(point)}"
            say(f"{model}: {where}: {found} tokens/s")
    return rows


def _rounds(point: Point) -> int:
    """In each, every contender has its turn. Two answers, one after the other, tell least."""
    return 9 if point.crowd == 1 else 3


def contenders(base: Path, adapter: Path, gguf: Path | None) -> dict[str, Contender]:
    """Name to who is measured; the names are the table's rows. `gguf`: the same model for llama.cpp."""
    four = [f"adapter-{number}" for number in range(3)]
    found: dict[str, Contender] = {
        report.OURS: lambda: ours(base, adapter, quantization="nf4"),
        report.LOOP: lambda: without_http(base, adapter, quantization="nf4"),
        report.OURS_FULL: lambda: ours(base, adapter, quantization="none"),
        report.SERVE: lambda: transformers_serve(base),
        report.LOCK: lambda: locked(base),
        report.ONE: lambda: ours(base, adapter, quantization="nf4", models=["adapter"]),
        report.FOUR: lambda: ours(base, adapter, quantization="nf4", models=["adapter", *four]),
    }
    if gguf:
        found[report.LLAMA] = lambda: llama_cpp(gguf)
    return found


async def _run(only: list[str], points: list[Point]) -> AsyncIterator[tuple[list[Table], overload.Storm | None]]:
    """What is known, after each model: an hour's work is not lost when it is interrupted."""
    tables = []
    with tempfile.TemporaryDirectory() as folder:
        pairs = models.pairs(Path(folder))
        storm = await overload.measured(*next(iter(pairs.values()))) if not only or "overload" in only else None
        for name, (base, adapter) in pairs.items():
            gguf = models.GGUF if name == models.SMALL else None
            chosen = {
                contender: make
                for contender, make in contenders(base, adapter, gguf).items()
                if not only or any(word in contender for word in only)
            }
            if chosen:
                tables.append(Table(name, await _measured(name, chosen, points)))
            yield tables, storm


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench_engine", description=__doc__)
    parser.add_argument(
        "--only", action="append", default=[], metavar="WORD", help="contenders with this in the name; or: overload"
    )
    parser.add_argument("--dry-run", action="store_true", help="do not write docs/benchmarks.md")
    parser.add_argument(
        "--point", action="append", type=_point, default=[], metavar="PROMPTxCROWD", help="instead of all: 512x8"
    )
    options = parser.parse_args()
    return asyncio.run(_written(options.only, options.point or POINTS, dry=options.dry_run))


def _point(text: str) -> Point:
    prompt, crowd = text.split("x")
    return Point(int(prompt), int(crowd))


async def _written(only: list[str], points: list[Point], *, dry: bool) -> int:
    """0 when all promises were kept."""
    kept = True
    async for tables, storm in _run(only, points):
        section = report.section(tables, storm, NEW)
        print(section, flush=True)
        if not dry:
            write_section(section, ROOT / "docs" / "benchmarks.md", report.BEGIN, report.END)
        rows = [*(each for table in tables for _, each in report.promises(table))]
        kept = all([*rows, *(each for *_, each in storm.rows())] if storm else rows)
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
