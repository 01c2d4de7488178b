"""The run as a section of docs/benchmarks.md and as a figure."""

import math
import os
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import psutil

from forge_inference.load.plot import Line, Panel, svg
from tests.bench.section import write_section
from tests.bench_scaling.run import ABOVE, CALM, CPU, MOST, TOKENS, Measured
from tests.bench_scaling.split import STAGES, medians
from tests.support.elastic import Look

BEGIN, END = "<!-- scaling: written by `make bench-scaling` -->", "<!-- scaling: end -->"
CHANGES = 1  # in five minutes of steady load, once the pods are there


def changes(found: Measured) -> int:
    """Of the number of replicas under the high rate, after the last pod of the step up was ready."""
    settled = next((look.at for look in found.looks if look.ready == MOST), math.inf) - found.began
    return sum(settled < at <= CALM + found.busy for at, _ in found.steps)


def section(found: Measured) -> str:
    """Markdown; the machine is described, never named."""
    return "\n".join(_lines(found))


def write(found: Measured, page: Path, figure: Path) -> None:
    """The section and the figure. Raises ValueError as `write_section` does."""
    write_section(section(found), page, BEGIN, END)
    figure.write_text(drawn(found), encoding="utf-8")


def drawn(found: Measured) -> str:
    """Load, replicas, the metric and latency over the same seconds."""
    series = found.figures["series"]
    seconds = len(series)

    def of(value: Callable[[Look], float | None]) -> list[float | None]:
        return _by_second(found.looks, found.began, seconds, value)

    return svg(
        f"1 to {MOST} replicas, {found.wish.metric} {found.wish.target:g}: load, replicas and latency over time",
        [
            Panel("requests/s", [Line(name, [row[name] for row in series]) for name in _REQUESTS]),
            Panel(
                "replicas",
                [Line("asked for", of(lambda look: look.replicas)), Line("ready", of(lambda look: look.ready))],
            ),
            Panel(
                "waiting/replica",
                [
                    Line(f"{found.wish.metric}, as the autoscaler is told", of(lambda look: look.value)),
                    Line("target", [found.wish.target] * seconds),
                ],
            ),
            Panel(
                "s, by arrival",
                [
                    Line("first token p95", [row["ttft_p95"] for row in series]),
                    Line("whole answer p95", [row["e2e_p95"] for row in series]),
                ],
            ),
        ],
    )


_REQUESTS = ("offered", "succeeded", "refused", "failed")


def _by_second(
    looks: Sequence[Look], began: float, seconds: int, value: Callable[[Look], float | None]
) -> list[float | None]:
    """The last look of each second; what was not looked at leaves a gap."""
    found: list[float | None] = [None] * seconds
    for look in looks:
        if 0 <= (second := int(look.at - began)) < seconds:
            found[second] = value(look)
    return found


def _lines(found: Measured) -> Iterator[str]:
    memory = psutil.virtual_memory().total / 2**30
    requests = found.figures["requests"]
    yield (
        f"A tiny model, one answer of {TOKENS} tokens at a time in each replica, which has {CPU} CPU. One replica alone"
        f" answers {found.alone:.2f} requests a second. Offered: {found.low:g}/s, from second {CALM:g} on"
        f" {found.high:g}/s ({ABOVE:g} times what one replica can), from second {CALM + found.busy:g} on"
        f" {found.low:g}/s again. Scaled by {found.wish.metric} with target {found.wish.target:g}, 1 to {MOST}"
        f" replicas, down after {found.wish.delay} s."
    )
    yield (
        f"{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores, {memory:.0f} GiB of memory, shared by the cluster, the"
        " model's pods and the load generator. Command: `make bench-scaling`."
    )
    yield ""
    yield "![Load, replicas, the metric and latency over time](guides/autoscale.svg)"
    yield ""
    yield "Replicas: " + ", ".join(f"{count} from second {max(0.0, at):.0f}" for at, count in found.steps) + "."
    yield ""
    yield (
        f"Requests: {requests['offered']} offered, {requests['succeeded']} answered, {requests['refused_429']} refused"
        f" by a full queue (429), {requests['refused_503']} by a server that ends (503), {requests['failed']} failed."
    )
    for each in found.figures["errors"]:
        yield f"* {each['count']} x {each['kind']}: {each['example']}"
    yield ""
    yield "| from the step of the load to a new pod's first answer | seconds, median | longest |"
    yield "|---|---|---|"
    middle = medians(found.splits)
    for name, what in STAGES.items():
        yield f"| {what} | {middle[name]:.1f} | {max(each.seconds[name] for each in found.splits):.1f} |"
    wholes = sorted(each.whole for each in found.splits)
    yield f"| **all of it** | **{sum(wholes) / len(wholes):.1f}** (mean) | **{wholes[-1]:.1f}** |"
    yield ""
    steady = f"{changes(found)} changes of the number of replicas under the steady high load"
    yield f"{len(found.splits)} pods came. {steady}, which lasted {found.busy:.0f} s, after they were there."
