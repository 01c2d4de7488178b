"""The waiting room: how many requests may wait, for one model and for all, and how much of them is in memory."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from forge_operator.activator.table import Place

# Of all models together.
MOST_OPEN = 2000  # requests, those that are being answered included
MOST_BYTES = 64 * 2**20  # of bodies


class Full(Exception):
    """No more fit; the message says of what."""


class Room:
    """Counts only: whoever waits does so elsewhere."""

    def __init__(self, most_held: int) -> None:
        """`most_held`: requests that may wait for one model."""
        self._most_held = most_held
        self._held: Counter[Place] = Counter()
        self.open = 0  # requests that wait or are being answered
        self.bytes = 0

    def held(self) -> int:
        """Requests that wait for a pod."""
        return self._held.total()

    def waits_for(self, place: Place) -> bool:
        """Whether a request waits for this model."""
        return self._held[place] > 0

    @contextmanager
    def entered(self) -> Iterator[None]:
        """One request, from its head to the last byte of its answer. Raises Full."""
        if self.open >= MOST_OPEN:
            raise Full(f"{MOST_OPEN} requests are open at the activator")
        self.open += 1
        try:
            yield
        finally:
            self.open -= 1

    @contextmanager
    def waiting(self, place: Place) -> Iterator[None]:
        """The time in which a request waits for a pod. Raises Full."""
        if self._held[place] >= self._most_held:
            raise Full(f"{self._most_held} requests wait for this model already")
        self._held[place] += 1
        try:
            yield
        finally:
            self._held[place] -= 1

    @contextmanager
    def keeping(self) -> Iterator[Callable[[int], None]]:
        """Memory for one body: to be called with the length of each part of it, and then raises Full."""
        kept = 0

        def keep(length: int) -> None:
            nonlocal kept
            if self.bytes + length > MOST_BYTES:
                raise Full(f"{MOST_BYTES} bytes of requests are in memory")
            self.bytes += length
            kept += length

        try:
            yield keep
        finally:
            self.bytes -= kept
