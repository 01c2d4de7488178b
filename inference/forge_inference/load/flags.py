"""The command line. `--help` is its reference."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from forge_inference.load.arrivals import duration
from forge_inference.load.dialects import DIALECTS
from forge_inference.load.figures import Slo

T = TypeVar("T")
STDOUT = Path("-")

_ABOUT = """Offer requests to a model server and measure what its users would notice.

The loop is open: requests come by a schedule that heeds no answer, as users do who do not know each other. Each
latency counts from when its request was due, so what a stalled server keeps waiting is in the figures (no
"coordinated omission"). Works with this project's servers and any that speaks OpenAI's API."""

_EXAMPLES = """examples:
  # two users a second for a minute, ten for two minutes, two again; a report, figures as JSON, a plot
  python -m forge_inference.load http://localhost:8000 --rate 2:60s,10:120s,2:60s --json load.json --plot load.svg
  # how much can it take? a ramp; answers of exactly 128 tokens to prompts of about 512
  python -m forge_inference.load http://localhost:8000 --rate 1-20:5m --prompt-tokens 512 --max-tokens 128 --ignore-eos
  # in CI: fail unless 95 of 100 answers begin within half a second and end within ten
  python -m forge_inference.load http://localhost:8000 --rate 5:60s --slo ttft=500ms,e2e=10s --max-error-rate 0.01
  # another server, with a token from the environment (single quotes: it stays out of the command line)
  python -m forge_inference.load https://llm.lab.example/v1 --model m --rate 1 \\
      --header 'Authorization: Bearer ${LAB_TOKEN}'

exit status: 0 limits kept; 1 a limit not kept, or no whole answer at all; 2 wrong usage, or the server did not
answer the warm-up; 3 the generator could not keep its schedule, so the figures are not to be trusted; 130 interrupted.
"""


def flags() -> argparse.ArgumentParser:
    """What is wrong with a single flag is said by the parser, what with several by `options`."""
    parser = argparse.ArgumentParser(
        "python -m forge_inference.load",
        description=_ABOUT,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("url", help="the server, e.g. http://localhost:8000; or the whole address of one of its routes")

    load = parser.add_argument_group("how much load")
    how = load.add_mutually_exclusive_group()
    how.add_argument(
        "--rate", metavar="R[:TIME],…", help="open loop, requests/s: 5, or 2:60s,10:2m in steps, or 2-10:60s"
    )
    how.add_argument(
        "--concurrency",
        type=_whole(1),
        metavar="N",
        help="closed loop: N users, each waits for its answer, then asks on",
    )
    load.add_argument(
        "--duration",
        type=_read("a duration", duration),
        metavar="TIME",
        help="of a single rate, or of --concurrency (60s)",
    )
    load.add_argument(
        "--arrivals",
        choices=["poisson", "constant"],
        default="poisson",
        help="poisson: independent users, with the bunches that come of it (default); constant: as a clock ticks",
    )
    load.add_argument(
        "--seed", type=int, default=0, help="of arrivals and of prompts by length; the same gives the same"
    )
    load.add_argument(
        "--warmup", type=_whole(0), default=1, metavar="N", help="requests before, not counted (1); 0 for cold starts"
    )
    load.add_argument(
        "--keep-alive",
        action="store_true",
        help="use connections again; else each request has its own, as users have, and new pods get their share",
    )
    load.add_argument("--dry-run", action="store_true", help="print when each request would be sent, and send none")

    ask = parser.add_argument_group("what is asked")
    ask.add_argument(
        "--api", choices=list(DIALECTS), help="default: what the URL names, else chat; completions sends bare texts"
    )
    ask.add_argument("--model", help="default: not sent; this project's servers then answer with their adapter")
    ask.add_argument(
        "--prompts",
        type=Path,
        metavar="FILE",
        help='one prompt a line, or .jsonl with {"prompt": "…"}; else questions of ours',
    )
    ask.add_argument(
        "--prompt-tokens",
        type=_whole(1),
        metavar="N",
        help="instead: texts of about N tokens, no two alike (no cache helps)",
    )
    ask.add_argument("--max-tokens", type=_whole(1), default=64, metavar="N", help="new tokens at most (64)")
    ask.add_argument("--ignore-eos", action="store_true", help="exactly --max-tokens (ours, vLLM, SGLang, llama.cpp)")
    ask.add_argument("--temperature", type=_number(0), default=0.0, metavar="T", help="default 0")
    ask.add_argument(
        "--header",
        action="append",
        default=[],
        metavar="'NAME: VALUE'",
        help="more than one is possible; ${VARIABLE} is read from the environment, and must be for what is secret",
    )
    ask.add_argument(
        "--timeout-seconds",
        type=_number(0.001),
        default=120.0,
        metavar="S",
        help="for a whole answer, from when it was due (120)",
    )
    ask.add_argument(
        "--retries",
        type=_whole(0),
        default=0,
        metavar="N",
        help="heed Retry-After of 429 and 503 so often and ask again, while the time goes on counting (0)",
    )

    limits = parser.add_argument_group("limits, for the exit status")
    limits.add_argument(
        "--slo",
        type=_read("an objective", _slo),
        default=Slo(),
        metavar="ttft=500ms,…",
        help="what is good: ttft, itl, e2e",
    )
    limits.add_argument(
        "--slo-share", type=_number(0, 1), default=0.95, metavar="P", help="of all offered requests must be good (0.95)"
    )
    limits.add_argument(
        "--max-error-rate",
        type=_number(0, 1),
        metavar="P",
        help="of all offered requests may lack a whole answer, refusals too",
    )
    limits.add_argument(
        "--max-late",
        type=_read("a duration", duration),
        default=0.05,
        metavar="TIME",
        help="p99 of how late the generator itself may be before it disowns its figures (50ms)",
    )

    output = parser.add_argument_group("output, besides the table on stdout")
    output.add_argument(
        "--json",
        type=_read("a file", _file),
        metavar="FILE",
        help="all figures, and each second's; times in seconds; - is stdout, and the table goes to stderr then",
    )
    output.add_argument(
        "--plot", type=_read("a plot", _svg), metavar="FILE.svg", help="rates, requests in flight and latency over time"
    )
    return parser


def _read(what: str, how: Callable[[str], T]) -> Callable[[str], T]:
    def read(text: str) -> T:
        try:
            return how(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    read.__name__ = what
    return read


def _whole(least: int) -> Callable[[str], int]:
    def whole(text: str) -> int:
        if not text.isdecimal() or int(text) < least:
            raise ValueError(f"{text!r} is no whole number of at least {least}")
        return int(text)

    return _read("a number", whole)


def _number(least: float, most: float = float("inf")) -> Callable[[str], float]:
    def number(text: str) -> float:
        if not least <= float(text) <= most:
            raise ValueError(f"{text!r} is not between {least:g} and {most:g}")
        return float(text)

    return _read("a number", number)


def _slo(text: str) -> Slo:
    limits: dict[str, float] = {}
    for part in text.split(","):
        name, _, time = part.strip().partition("=")
        if name not in ("ttft", "itl", "e2e"):
            raise ValueError(f"{part.strip()!r} is no objective: write ttft=500ms,itl=50ms,e2e=10s or some of them")
        limits[name] = duration(time)
    return Slo(**limits)


def _file(text: str) -> Path:
    path = Path(text)
    if not path.parent.is_dir() or path.is_dir():
        raise ValueError(f"{text}: its folder is missing, or it is one")  # before the load, not after it
    return path


def _svg(text: str) -> Path:
    if not text.endswith(".svg"):
        raise ValueError(f"{text}: plots are written as .svg, which every browser shows")
    return _file(text)
