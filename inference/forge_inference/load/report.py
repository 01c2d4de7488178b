"""Figures for people and for programs, and the line that tells how far it is."""

import sys
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any, TextIO

from forge_inference import __version__
from forge_inference.load.figures import Figures, Slo
from forge_inference.load.options import Options
from forge_inference.load.records import Run
from forge_inference.load.spread import Spread, percentile

_LATELY = 1000  # requests, or beats of the generator


def shortfalls(figures: Figures, options: Options) -> list[str]:
    """Limits that were not kept, a sentence each."""
    found, counts = [], figures.requests
    if not counts.succeeded:
        found.append("no request was answered in whole")
    errors = counts.error_rate
    if options.max_error_rate is not None and errors > options.max_error_rate:
        found.append(
            f"{errors:.2%} of the requests have no whole answer; --max-error-rate allows {options.max_error_rate:.2%}"
        )
    if figures.goodput and figures.goodput.share < options.slo.share:
        found.append(
            f"{figures.goodput.share:.2%} of the offered requests were answered within {_objective(options.slo)};"
            f" --slo-share asks for {options.slo.share:.2%}"
        )
    return found


def as_json(figures: Figures, options: Options) -> dict[str, Any]:
    """Everything, in seconds; headers are left out, since they may be secret."""
    demand, target, slo = options.demand, options.target, options.slo
    content = asdict(figures)
    series = content.pop("seconds_in_a_row")
    return {
        "format": 1,
        "generator_version": __version__,
        "url": target.url,
        "load": {
            "loop": "closed" if demand.crowd else "open",
            "asked": options.load,
            "phases": [asdict(phase) for phase in demand.phases],
            "arrivals": None if demand.crowd else demand.process,
            "concurrency": demand.crowd or None,
            "seed": demand.seed,
            "warmup": demand.warmup,
            "keep_alive": demand.keep_alive,
            "prompt_tokens": demand.prompts.tokens,
            "timeout_seconds": target.timeout,
            "retries": target.retries,
            **asdict(target.wish),
        },
        "limits": {
            "slo": asdict(slo) if slo else None,
            "max_error_rate": options.max_error_rate,
            "late": options.max_late,
        },
        **content,
        "shortfalls": shortfalls(figures, options),
        "series": series,
    }


def table(figures: Figures, options: Options) -> str:
    """For a terminal."""
    return "\n".join(_lines(figures, options)) + "\n"


def _lines(figures: Figures, options: Options) -> Iterator[str]:
    counts, demand, slo = figures.requests, options.demand, options.slo
    loop = "closed loop" if demand.crowd else f"open loop, {demand.process}, seed {demand.seed}"
    stopped = ", INTERRUPTED" if figures.interrupted else ""
    yield f"{options.target.url}: {options.load}, {loop}; {figures.lasted:.1f} s{stopped}"
    yield ""
    rate = counts.offered / figures.seconds
    yield f"requests      offered {counts.offered} ({rate:.2f}/s), started {counts.started}"
    refused = f"refused {counts.refused_429} (429) and {counts.refused_503} (503), failed {counts.failed}"
    yield f"              succeeded {counts.succeeded}, {refused}, unfinished {counts.unfinished}"
    if counts.waits:
        yield f"              {counts.waits} refusals heeded and asked again"
    yield ""
    yield f"{'ms':<24}{'p50':>10}{'p95':>10}{'p99':>10}{'max':>10}{'count':>10}"
    yield _row("first token", figures.ttft)
    yield _row("between two events", figures.inter_token)
    yield _row("per token of an answer", figures.per_token)
    yield _row("whole answer", figures.e2e)
    yield _row("refusal", figures.refusals)
    whose = "was sent; users who do not ask because others wait are missing" if demand.crowd else "was due"
    yield f"counted from when a request {whose}; whole answers only"
    yield ""
    mean = figures.tokens / counts.succeeded if counts.succeeded else 0.0
    tokens = f"{figures.tokens} in whole answers, {mean:.1f} each; {figures.prompt_tokens} of their prompts"
    yield f"tokens        {figures.tokens_per_second:.1f}/s; {tokens}"
    if good := figures.goodput:
        yield f"goodput       {good.share:.1%} of offered, {good.per_second:.2f}/s: {_objective(slo)}"
    late, cores = figures.generator.late, figures.generator.cores
    lateness = f"late by {_ms(late.p50)} ms (p50), {_ms(late.p99)} (p99), {_ms(late.max)} (max)"
    yield f"generator     {lateness}; {cores:.0%} of a core"
    if figures.errors:
        yield ""
        for error in figures.errors:
            yield f"{error.kind:<14}{error.count:>6} times, first: {' '.join(error.example.split())[:160]}"
    if counts.empty:
        path = options.target.dialect.path
        yield f"\nNOTE: {counts.empty} whole answers had no text and so no first token. Is {path} the route you meant?"
    for sentence in shortfalls(figures, options):
        yield f"\nNOT KEPT: {sentence}."
    for doubt in figures.generator.doubts:
        yield f"\nDO NOT TRUST THESE FIGURES. The generator could not keep its schedule: {doubt}."


def _row(name: str, spread: Spread) -> str:
    values = (spread.p50, spread.p95, spread.p99, spread.max)
    return f"{name:<24}{''.join(f'{_ms(value):>10}' for value in values)}{spread.count:>10}"


def _ms(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds * 1000:.1f}" if seconds < 1 else f"{seconds * 1000:.0f}"


def _objective(slo: Slo) -> str:
    limits = (("ttft", slo.ttft), ("itl", slo.itl), ("e2e", slo.e2e))
    return ", ".join(f"{name} ≤ {limit * 1000:g} ms" for name, limit in limits if limit is not None)


class Progress:
    """Tells a run on a terminal in one line that changes; elsewhere in a line every ten seconds."""

    def __init__(self, to: TextIO = sys.stderr) -> None:
        self._to, self._every = to, 1 if to.isatty() else 10
        self._told = 0

    def __call__(self, run: Run) -> None:
        self._told += 1
        if self._told % self._every:
            return
        # Lately only: looking through everything each second would make the generator late.
        firsts = sorted(each.first for each in run.records[-_LATELY:] if each.whole and each.first is not None)
        late = max((by for _, by in run.beats[-_LATELY:]), default=0.0)
        line = (
            f"{run.lasted:.0f} of {run.seconds:.0f} s: {len(run.records)} sent, {run.in_flight} in flight,"
            f" {run.ended['succeeded']} succeeded, {run.ended['refused']} refused, {run.ended['failed']} failed;"
            f" lately first token {_ms(percentile(firsts, 50))} ms (p50), {_ms(percentile(firsts, 95))} (p95),"
            f" generator late by {_ms(late)} ms (max)"
        )
        self._to.write(f"\r\x1b[K{line}" if self._every == 1 else f"{line}\n")
        self._to.flush()

    def end(self) -> None:
        """Leave the line."""
        if self._every == 1 and self._told:
            self._to.write("\r\x1b[K")
