"""python -m forge_inference.calibrate: where its parts meet."""

import asyncio
import signal
import sys

from forge_inference.calibrate import plot, report
from forge_inference.calibrate.asking import ServerFailed, ask
from forge_inference.calibrate.flags import Options, parse
from forge_inference.calibrate.profile import profile
from forge_inference.calibrate.questions import InvalidQuestions, Questions, read


def main(words: list[str]) -> int:
    """The exit status, as `--help` says."""
    options = parse(words)
    try:
        questions = read(options.questions)
        sys.stdout.write(f"{questions.told()}\n")
        return 0 if options.dry_run else _measured(options, questions)
    except (InvalidQuestions, ServerFailed) as error:
        sys.stderr.write(f"{error}\n")
        return 2
    except OSError as error:
        sys.stderr.write(f"{error.filename} cannot be written: {error.strerror}\n")
        return 2
    except KeyboardInterrupt:
        sys.stderr.write("interrupted; nothing was written\n")
        return 128 + signal.SIGINT


def _measured(options: Options, questions: Questions) -> int:
    progress = report.Progress(len(questions.all))
    try:
        heard = asyncio.run(ask(options.url, questions, options.model, progress))
    finally:
        progress.end()
    content = profile(questions, heard, options.bins, options.seed)
    if options.out:
        options.out.write_text(content.model_dump_json(indent=1) + "\n", encoding="utf-8")
    if options.plot:
        title = f"{questions.file}: {content.questions.count} questions, {content.measured.accuracy:.0%} right"
        options.plot.write_text(plot.drawn(content, title), encoding="utf-8")
    sys.stdout.write(report.table(content))
    return 0 if content.measured.after.is_as_perfect else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
