"""Which models to look at next: each at most once, never two workers on one."""

import asyncio
import itertools
import time
from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)

FIRST_RETRY, LAST_RETRY = 0.25, 60.0  # seconds


class Queue(Generic[K]):
    """A key that is added while a worker has it comes again after; many additions are one."""

    def __init__(self) -> None:
        # Urgent ones first, then in the order of their coming.
        self._ready: asyncio.PriorityQueue[tuple[bool, int, K]] = asyncio.PriorityQueue()
        self._order = itertools.count()
        self._dirty: set[K] = set()
        self._busy: set[K] = set()
        self._urgent: set[K] = set()  # of those that are ready
        self._failures: dict[K, int] = {}
        self._timers: dict[K, asyncio.TimerHandle] = {}
        self._moved = time.monotonic()

    def add(self, key: K, *, urgent: bool = False) -> None:
        """Look at this one as soon as a worker is free; before all others if it is urgent."""
        if key in self._dirty:
            return
        if not self._dirty and not self._busy:
            self._moved = time.monotonic()  # nothing was to be done until now
        self._dirty.add(key)
        if key not in self._busy:
            self._offer(key, urgent=urgent)

    def give_way(self, key: K) -> bool:
        """Whether urgent ones wait for a worker. The key, which a worker has, then comes again after them."""
        if self._urgent:
            self.add(key)
        return bool(self._urgent)

    def _offer(self, key: K, *, urgent: bool = False) -> None:
        if urgent:
            self._urgent.add(key)
        self._ready.put_nowait((not urgent, next(self._order), key))

    def add_after(self, key: K, delay: float) -> None:
        """Look at this one in `delay` seconds, or earlier if that was asked for before."""
        loop = asyncio.get_running_loop()
        before = self._timers.get(key)
        if before is not None:
            if before.when() <= loop.time() + delay:
                return
            before.cancel()
        self._timers[key] = loop.call_later(delay, self._due, key)

    def _due(self, key: K) -> None:
        self._timers.pop(key, None)
        self.add(key)

    def retry(self, key: K, at_least: float = 0.0) -> float:
        """Look again, the later the oftener this happened without a `forget`; in how many seconds."""
        failures = self._failures[key] = self._failures.get(key, 0) + 1
        delay = max(at_least, min(FIRST_RETRY * 2.0 ** min(failures - 1, 16), LAST_RETRY))
        self.add_after(key, delay)
        return delay

    def forget(self, key: K) -> None:
        """It went well: the next retry is a quick one again."""
        self._failures.pop(key, None)

    async def get(self) -> K:
        """The next key; give it back with `done`."""
        *_, key = await self._ready.get()
        self._dirty.discard(key)
        self._urgent.discard(key)
        self._busy.add(key)
        return key

    def done(self, key: K) -> None:
        """The worker has finished with this key."""
        self._busy.discard(key)
        self._moved = time.monotonic()
        if key in self._dirty:
            self._offer(key)

    def depth(self) -> int:
        """Keys that wait for a worker."""
        return len(self._dirty)

    def stuck_for(self) -> float:
        """Seconds for which no worker has finished although there is work."""
        return time.monotonic() - self._moved if self._dirty or self._busy else 0.0
