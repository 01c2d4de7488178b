"""Speeds as a table and a plot, beside what was promised."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from statistics import median

from tests.bench_engine import machine
from tests.bench_engine.overload import Storm

BEGIN, END = "<!-- engine: written by `make bench-engine` -->", "<!-- engine: end -->"
OURS, LOOP, OURS_FULL = "ours, NF4", "ours without HTTP, NF4", f"ours, {machine.DTYPE}"
SERVE, LOCK = f"transformers serve --continuous-batching, {machine.DTYPE}", f"generate behind a lock, {machine.DTYPE}"
ONE, FOUR = "ours, NF4, one adapter", "ours, NF4, four adapters mixed"
LLAMA = "llama.cpp's server, Q4_1 (for information)"


@dataclass(frozen=True)
class Point:
    """Tokens of each prompt, and how many ask at once."""

    prompt: int
    crowd: int


Rows = Mapping[str, Mapping[Point, Sequence[float]]]


@dataclass(frozen=True)
class Table:
    """Speeds of one model, in new tokens a second, by contender, in each round."""

    model: str
    rows: Rows

    def speed(self, name: str, point: Point) -> float:
        """The median of the rounds."""
        return median(self.rows[name][point])

    def least(self, name: str, other: str, crowds: Collection[int] = ()) -> float:
        """How many times the other's speed, at the point where that is least; the median of the rounds' ratios."""
        return min(
            median(mine / its for mine, its in zip(self.rows[name][point], self.rows[other][point], strict=True))
            for point in self.rows[name]
            if not crowds or point.crowd in crowds
        )


def promises(table: Table) -> list[tuple[str, bool]]:
    """What was promised of this model, and whether it was kept; only of what was measured."""
    rows, found = table.rows, []
    crowds = {point.crowd for row in rows.values() for point in row}
    if OURS in rows and SERVE in rows:
        least = table.least(OURS, SERVE)
        found.append((f"ahead of transformers serve at every point: at least {least:.2f} times its speed", least > 1))
    if OURS in rows and LOCK in rows and 8 in crowds:
        least = table.least(OURS, LOCK, (8,))
        found.append((f"at least 4 times the lock with 8 at once: {least:.2f} times", least >= 4))
    if OURS in rows and LOOP in rows:
        least = table.least(OURS, LOOP)
        found.append((f"at least 0.95 of the loop without HTTP: {least:.2f}", least >= 0.95))
    if ONE in rows and FOUR in rows and crowds & {8, 32}:
        least = table.least(FOUR, ONE, (8, 32))
        found.append((f"four adapters mixed cost at most 20 % over one: {1 - least:.0%}", least >= 0.8))
    return found


def section(tables: list[Table], storm: Storm | None, new: int) -> str:
    """Markdown; the machine is described, never named."""
    versions = ", ".join(f"{name} {version(name)}" for name in ("torch", "transformers", "bitsandbytes"))
    lines = [
        f"New tokens a second, over all who ask at once; {new} new tokens each, greedy. {datetime.now(UTC):%Y-%m-%d},"
        f" {machine.described()}, {versions}. Command: `make bench-engine`.",
        f"NF4 is computed {machine.NF4}. Medians of rounds in which all took turns; the lock's crowd is at most 8.",
    ]
    for table in tables:
        points = list(next(iter(table.rows.values())))
        head = " | ".join(f"prompt {point.prompt}, {point.crowd} at once" for point in points)
        lines += ["", f"### {table.model}", "", f"| | {head} |", f"|---|{'---|' * len(points)}"]
        lines += [
            f"| {name} | {' | '.join(f'{table.speed(name, point):.1f}' for point in points)} |" for name in table.rows
        ]
        lines += ["", *(f"* {'kept' if kept else '**not kept**'}: {text}" for text, kept in promises(table))]
        lines += ["", *_plot(table, points)]
    if storm:
        lines += ["", "### Ten times more requests than it can answer, for a minute", ""]
        lines += ["| promised | measured | kept |", "|---|---|---|"]
        lines += [f"| {what} | {found} | {'yes' if kept else '**no**'} |" for what, found, kept in storm.rows()]
    return "\n".join(lines)


def _plot(table: Table, points: list[Point]) -> list[str]:
    names = [name for name in (OURS, SERVE, LOCK) if name in table.rows]
    axis = ", ".join(f'"{point.prompt} x {point.crowd}"' for point in points)
    lines = ["```mermaid", "xychart-beta", f'  title "{table.model}: {" / ".join(names)}"', f"  x-axis [{axis}]"]
    lines.append('  y-axis "new tokens a second"')
    lines += [f"  bar [{', '.join(f'{table.speed(name, point):.1f}' for point in points)}]" for name in names]
    return [*lines, "```"]
