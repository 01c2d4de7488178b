"""python -m forge_inference.load: where its parts meet."""

import asyncio
import json
import os
import signal
import sys

from forge_inference.load import plot, report
from forge_inference.load.arrivals import schedule
from forge_inference.load.figures import Figures, figures
from forge_inference.load.generator import ColdServer, measure
from forge_inference.load.options import Options, parse
from forge_inference.load.records import Run


def main(words: list[str]) -> int:
    """The exit status, as `--help` says."""
    options = parse(words, os.environ)
    if options.dry_run:
        return _rehearse(options)
    try:
        run = asyncio.run(_measured(options))
    except ColdServer as error:
        sys.stderr.write(f"{options.target.url} did not answer a first request, so nothing was measured: {error}\n")
        return 2
    found = figures(run, options.slo, options.max_late)
    sys.stdout.write(report.table(found, options))
    try:
        _write(found, options)
    except OSError as error:
        sys.stderr.write(f"{error.filename} cannot be written: {error.strerror}\n")
        return 2
    if found.interrupted:
        return 128 + signal.SIGINT
    if found.generator.doubts:
        return 3
    return 1 if report.shortfalls(found, options) else 0


async def _measured(options: Options) -> Run:
    stop, loop = asyncio.Event(), asyncio.get_running_loop()

    def enough() -> None:
        stop.set()
        for number in (signal.SIGINT, signal.SIGTERM):  # the next one ends the program without more ado
            loop.remove_signal_handler(number)

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, enough)
    progress = report.Progress()
    try:
        return await measure(options.target, options.plan, stop, progress)
    finally:
        progress.end()


def _rehearse(options: Options) -> int:
    plan = options.plan
    times = schedule(plan.phases, plan.process, plan.seed)
    for number, due in enumerate(times):
        sys.stdout.write(f"{due:.3f}\t{plan.prompts.of(number)[:100]}\n")
    how = f"{plan.crowd} users, each as fast as it is answered" if plan.crowd else f"{len(times)} requests"
    sys.stderr.write(f"{how} within {plan.seconds:g} s to {options.target.url}; none was sent\n")
    return 0


def _write(found: Figures, options: Options) -> None:
    if options.json:
        options.json.write_text(json.dumps(report.as_json(found, options), ensure_ascii=False, indent=1) + "\n")
    if options.plot:
        options.plot.write_text(plot.drawn(found, f"{options.target.url}: {options.load}"), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
