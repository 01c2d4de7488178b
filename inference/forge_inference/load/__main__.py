"""python -m forge_inference.load: where its parts meet."""

import asyncio
import json
import os
import signal
import sys

from forge_inference.load import plot, report
from forge_inference.load.arrivals import schedule
from forge_inference.load.figures import Figures, figures
from forge_inference.load.flags import STDOUT
from forge_inference.load.generator import ColdServer, measure, warm_up
from forge_inference.load.options import Options, parse
from forge_inference.load.records import Run


def main(words: list[str]) -> int:
    """The exit status, as `--help` says."""
    options = parse(words, os.environ)
    if options.dry_run:
        return _rehearse(options)
    # Jobs that a script starts in the background ignore it, and then nothing could end the first request.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        run = asyncio.run(_measured(options))
    except ColdServer as error:
        sys.stderr.write(f"{options.target.url} did not answer a first request, so nothing was measured: {error}\n")
        return 2
    except KeyboardInterrupt:
        sys.stderr.write("interrupted; nothing was measured\n")
        return 128 + signal.SIGINT
    found = figures(run, options.slo, options.max_late)
    # Where the figures go to stdout, the table makes room for them.
    (sys.stderr if options.json == STDOUT else sys.stdout).write(report.table(found, options))
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
    await warm_up(options.target, options.demand)  # interrupted here, the program just ends
    stop, loop = asyncio.Event(), asyncio.get_running_loop()

    def enough() -> None:
        stop.set()
        for number in (signal.SIGINT, signal.SIGTERM):  # the next one ends the program without more ado
            loop.remove_signal_handler(number)

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, enough)
    progress = report.Progress()
    try:
        return await measure(options.target, options.demand, stop, progress)
    finally:
        progress.end()


def _rehearse(options: Options) -> int:
    demand = options.demand
    times = schedule(demand.phases, demand.process, demand.seed)
    for number, due in enumerate(times):
        sys.stdout.write(f"{due:.3f}\t{demand.prompts.of(number)[:100]}\n")
    how = f"{demand.crowd} users, each as fast as it is answered" if demand.crowd else f"{len(times)} requests"
    sys.stderr.write(f"{how} within {demand.seconds:g} s to {options.target.url}; none was sent\n")
    return 0


def _write(found: Figures, options: Options) -> None:
    if options.json:
        content = json.dumps(report.as_json(found, options), ensure_ascii=False, indent=1) + "\n"
        if options.json == STDOUT:
            sys.stdout.write(content)
        else:
            options.json.write_text(content, encoding="utf-8")
    if options.plot:
        options.plot.write_text(plot.drawn(found, f"{options.target.url}: {options.load}"), encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
