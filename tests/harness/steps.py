"""Progress of long work, and programs that are run for it."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.harness.errors import HarnessError

# Of a failed program's output, this much is shown: the end is where the reason is.
SHOWN_LINES = 25


def say(text: str) -> None:
    print(f"==> {text}", file=sys.stderr, flush=True)


@contextmanager
def step(text: str) -> Iterator[None]:
    """Say what begins, and how long it took."""
    say(f"{text} ...")
    start = time.monotonic()
    yield
    say(f"{text}: {time.monotonic() - start:.0f} s")


def run(
    argv: Sequence[str | Path],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    stdin: bytes | None = None,
    timeout: float | None = None,
) -> str:
    """Run a program to its end and return what it printed.

    Raises
    ------
    HarnessError
        It failed or outran `timeout` (seconds); the message has the end of its output.
    """
    words = [str(word) for word in argv]
    try:
        done = subprocess.run(
            words,
            env={**os.environ, **(env or {})},
            cwd=cwd,
            input=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=timeout,
            check=False,
        )
    except FileNotFoundError as error:
        raise HarnessError(f"{words[0]} is not installed") from error
    except subprocess.TimeoutExpired as error:
        raise HarnessError(f"`{' '.join(words[:6])}` did not end within {timeout:.0f} s") from error
    output = done.stdout.decode(errors="replace")
    if done.returncode != 0:
        tail = "\n".join(output.splitlines()[-SHOWN_LINES:])
        raise HarnessError(f"`{' '.join(words[:8])}` failed ({done.returncode}):\n{tail}")
    return output
