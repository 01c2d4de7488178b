"""The command line. `--help` is its reference."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from forge_inference.calibrate.questions import FEWEST
from forge_inference.science.genomics.profiles import LEAST

_ABOUT = """Measure whether a served model is right as often as its confidence says, and mend what one number can mend.

Asks a running server closed questions (yes_no_maybe, choice) whose answers are known, fits one temperature, and writes
a calibration profile: a server that is started with it (--calibration) calls the confidence of such answers calibrated.
Everything that is reported was measured on questions that the temperature was not fitted on (cross-validation)."""

_EXAMPLES = f"""questions, a JSON object a line: the body of a request to /api/v1/genomics/query, and `expected`
  {{"query": "Is CFTR a channel?", "query_type": "gene_function", "answer_form": "yes_no_maybe", "expected": "yes"}}
  All have the same answer_form. Fewer than {FEWEST} are refused, with fewer than {LEAST} nothing is called calibrated.

examples:
  # look at the file, ask nothing
  python -m forge_inference.calibrate questions.jsonl --dry-run
  # measure, write the profile and the plot
  python -m forge_inference.calibrate questions.jsonl --url http://localhost:8000 --out mine.json --plot mine.svg
  # serve with it
  python -m forge_inference --checkpoint … --base-model … --calibration mine.json

exit status: 0 written; 1 written, but the confidence is still further off than a perfectly calibrated model's
would seem; 2 wrong usage or questions, or the server did not answer; 130 interrupted.
"""


@dataclass(frozen=True)
class Options:
    """What the flags ask for. `url` and `out` are empty for a dry run."""

    questions: Path
    url: str
    out: Path | None
    plot: Path | None
    model: str | None
    bins: int
    seed: int
    dry_run: bool


def parse(words: Sequence[str]) -> Options:
    """SystemExit with status 2 and a sentence about the flag for what is wrong, with 0 for --help."""
    parser = argparse.ArgumentParser(
        "python -m forge_inference.calibrate",
        description=_ABOUT,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("questions", type=Path, metavar="QUESTIONS.jsonl", help="questions with expected answers")
    parser.add_argument("--url", type=_url, help="the server, e.g. http://localhost:8000")
    parser.add_argument("--out", type=_file, metavar="PROFILE.json", help="the profile to write")
    parser.add_argument("--plot", type=_svg, metavar="FILE.svg", help="confidence and accuracy, before and after")
    parser.add_argument("--model", help="one of /v1/models; default: what a question says, else the served adapter")
    parser.add_argument("--bins", type=_bins, default=10, metavar="N", help="of as many answers each, for the ECE (10)")
    parser.add_argument("--seed", type=int, default=0, help="of folds and bootstrap; the same gives the same (0)")
    parser.add_argument("--dry-run", action="store_true", help="check the questions, ask none, write nothing")
    found = parser.parse_args(words)
    if not found.dry_run and not (found.url and found.out):
        parser.error("say which server is asked (--url) and where the profile goes (--out); or --dry-run")
    return Options(**vars(found))


def _url(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise argparse.ArgumentTypeError(f"{text}: the server's URL begins with http:// or https://")
    return text.rstrip("/")


def _file(text: str) -> Path:
    path = Path(text)
    if not path.parent.is_dir() or path.is_dir():  # said before the questions are asked, not after it
        raise argparse.ArgumentTypeError(f"{text}: its folder is missing, or it is one")
    return path


def _svg(text: str) -> Path:
    if not text.endswith(".svg"):
        raise argparse.ArgumentTypeError(f"{text}: plots are written as .svg, which every browser shows")
    return _file(text)


def _bins(text: str) -> int:
    if not text.isdecimal() or not 2 <= int(text) <= 100:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 2 to 100")
    return int(text)
