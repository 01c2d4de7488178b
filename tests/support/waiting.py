"""Waiting for a condition with a limit: the only way in which tests wait."""

import time
from collections.abc import Callable

# Seconds between two looks at a condition; never a guess at how long a thing takes.
_PAUSE = 0.1


def until(condition: Callable[[], object], *, limit: float, what: str, pause: float = _PAUSE) -> None:
    """Return as soon as `condition()` is true.

    Raises
    ------
    TimeoutError
        It was not true within `limit` seconds; the message says what was awaited.
    """
    end = time.monotonic() + limit
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"not within {limit:.0f} s: {what}")
        time.sleep(pause)
