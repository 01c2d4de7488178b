"""How far a download is: a log line every few seconds, and the limit of size."""

import logging
import time
from collections.abc import Callable

from forge_inference.sources.errors import SourceError

logger = logging.getLogger(__name__)

_EVERY = 5.0  # seconds between two lines


class Progress:
    """Counts bytes. `total` is None where a source does not tell; more than `limit` are refused."""

    def __init__(self, total: int | None, limit: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._total, self._limit, self._clock = total, limit, clock
        self._start = self._told = clock()
        self.there = 0  # bytes on disk, from this start or an earlier one
        self.fetched = 0  # bytes that came over the network in this start
        demand_size(total or 0, limit)

    def found(self, count: int) -> None:
        """Bytes that an earlier start left; negative when they are thrown away."""
        self.there += count

    def add(self, count: int) -> None:
        """Bytes that have come. Raises SourceError (SourceTooLarge)."""
        self.there += count
        self.fetched += count
        demand_size(self.there, self._limit)
        if (now := self._clock()) - self._told >= _EVERY:
            self._told = now
            speed = self.fetched / (now - self._start)
            if self._total:
                share = f"{amount(self.there)} of {amount(self._total)} ({100 * self.there // self._total} %)"
            else:
                share = amount(self.there)
            logger.info("%s, %s/s", share, amount(speed))


def amount(count: float) -> str:
    """Bytes for people."""
    power = min(4, (len(str(int(count))) - 1) // 3)
    return f"{count / 1000**power:.{1 if power else 0}f} {('B', 'kB', 'MB', 'GB', 'TB')[power]}"


def demand_size(size: int, limit: int) -> None:
    """Raises SourceError (SourceTooLarge)."""
    if size > limit:
        raise SourceError(
            "SourceTooLarge",
            f"The source has {amount(size)} or more; {amount(limit)} are allowed here. Name a smaller one, or ask the"
            " administrator to raise the limit (--max-bytes).",
        )
