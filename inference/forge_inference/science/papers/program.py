"""Reads a paper from its input and writes what rules found to its output. `rules.read` runs it."""

import pickle
import sys

from forge_inference.science.papers.process import limit
from forge_inference.science.papers.rules import rules

_MEMORY = 1024 * 2**20  # bytes of address space
_SECONDS = 60  # of CPU; the longest text that is read takes three


def main() -> None:
    """A tuple of arguments in, the result out, both pickled."""
    limit(_MEMORY, _SECONDS)
    found = rules(*pickle.load(sys.stdin.buffer))  # noqa: S301 - the server wrote it
    pickle.dump(found, sys.stdout.buffer)


if __name__ == "__main__":
    main()
