"""The figures as a section of docs/benchmarks.md, beside what was promised."""

import os
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

import psutil

from tests.bench.campaign import Figures
from tests.bench.section import write_section

BEGIN, END = "<!-- operator: written by `make bench` -->", "<!-- operator: end -->"
# The promises, at 500 models: seconds, milliseconds, MiB.
CHILDREN, READY, REPAIR, MEMORY = 20.0, 35.0, 2000.0, 160.0


def rows(figures: Figures) -> list[tuple[str, str, str, bool]]:
    """What, promised, measured, kept."""
    edit, deletion = figures.edit_repairs, figures.deletion_repairs
    return [
        ("children of all models", f"≤ {CHILDREN:.0f} s", f"{figures.children:.1f} s", figures.children <= CHILDREN),
        ("all models Ready", f"≤ {READY:.0f} s", f"{figures.ready:.1f} s", figures.ready <= READY),
        (
            f"writes in the {figures.watched:.0f} s after that",
            "0",
            str(figures.writes_at_rest),
            figures.writes_at_rest == 0,
        ),
        ("writes on a restart of the operator", "0", str(figures.writes_on_restart), figures.writes_on_restart == 0),
        ("edited child repaired, median / longest", f"≤ {REPAIR:.0f} ms", _spread(edit), max(edit) <= REPAIR),
        (
            "deleted child repaired, median / longest",
            f"≤ {REPAIR:.0f} ms",
            _spread(deletion),
            max(deletion) <= REPAIR,
        ),
        (
            "memory of the operator (RSS), at most",
            f"≤ {MEMORY:.0f} MiB",
            f"{figures.memory:.0f} MiB",
            figures.memory <= MEMORY,
        ),
    ]


def section(figures: Figures) -> str:
    """Markdown; the machine is described, never named."""
    memory = psutil.virtual_memory().total / 2**30
    lines = [
        f"{figures.models} models, each with a ServiceAccount, a NetworkPolicy, a Service and a Deployment of one"
        f" pod, sent by 4 clients within {figures.created:.1f} s. Times count from the first manifest.",
        f"{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores, {memory:.0f} GiB of memory, shared by etcd, the API"
        " server, its controllers, kwok and the operator. etcd does not wait for the disk, Go collects garbage at"
        " GOGC=400, and controllers and scheduler may make 500 calls a second. Command: `make bench`.",
        "",
        "| figure | promised | measured | kept |",
        "|---|---|---|---|",
        *(
            f"| {what} | {goal} | {found} | {'yes' if kept else '**no**'} |"
            for what, goal, found, kept in rows(figures)
        ),
    ]
    return "\n".join(lines)


def write(figures: Figures, path: Path) -> None:
    """Replace the operator's section. Raises ValueError as `write_section` does."""
    write_section(section(figures), path, BEGIN, END)


def _spread(milliseconds: list[float]) -> str:
    return f"{median(milliseconds):.0f} / {max(milliseconds):.0f} ms"
