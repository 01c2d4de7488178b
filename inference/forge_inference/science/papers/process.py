"""A process that reads what somebody sent: it can be ended, its memory is limited, and others go first."""

import asyncio
import os
import resource
import sys
from dataclasses import dataclass
from pathlib import Path

_PACKAGES = Path(__file__).parents[3]
_NICE = 10  # short questions are answered meanwhile


@dataclass(frozen=True, slots=True)
class Ended:
    """`status` is minus the signal that ended it; `error` the name of the exception, and nothing of the text."""

    status: int
    output: bytes
    error: str


async def run(program: str, sent: bytes, longest: float) -> Ended:
    """What a module of ours made of its input.

    Raises TimeoutError after `longest` seconds. Then, or cancelled, it ends the process.
    """
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-P", "-m", program),
        env={"PYTHONPATH": str(_PACKAGES), "PYTHONDONTWRITEBYTECODE": "1"},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(longest):
            output, errors = await process.communicate(sent)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode is not None  # noqa: S101 - it was waited for
    error = errors.decode(errors="replace").rstrip().rpartition("\n")[2].partition(":")[0][:100]
    return Ended(process.returncode, output, error)


def limit(memory: int, seconds: int) -> None:
    """For the process itself: bytes of address space, and seconds of CPU."""
    os.nice(_NICE)
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
