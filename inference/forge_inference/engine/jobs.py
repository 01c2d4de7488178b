"""Requests on their way between the event loop and the engine's thread."""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from forge_inference.engine.contract import Chunk, Load, Request
from forge_inference.engine.errors import EngineError, Overloaded


@dataclass(eq=False)
class Job:
    """One request. `deadline` is of time.monotonic(), in seconds."""

    request: Request
    prompt: Sequence[int]
    deadline: float
    loop: asyncio.AbstractEventLoop
    chunks: "asyncio.Queue[Chunk | EngineError]" = field(default_factory=asyncio.Queue)
    cancelled: threading.Event = field(default_factory=threading.Event)

    def tell(self, news: Chunk | EngineError) -> None:
        """From the engine's thread to whoever waits for the answer."""
        try:
            self.loop.call_soon_threadsafe(self.chunks.put_nowait, news)
        except RuntimeError:  # the event loop has ended, and nobody waits any more
            self.cancelled.set()


class Line:
    """The bounded queue. Every method may be called from any thread."""

    def __init__(self, max_queue: int) -> None:
        self._max = max_queue
        self._waiting: deque[Job] = deque()
        self._running: Job | None = None
        self._changed = threading.Condition()
        self._ended: EngineError | None = None
        self._seconds = 1.0  # of one request, lately

    def add(self, job: Job) -> None:
        """Raises Overloaded, or why no more requests are taken."""
        with self._changed:
            if self._ended is not None:
                raise self._ended
            if len(self._waiting) >= self._max:
                wait = max(1.0, self._seconds * len(self._waiting) / 2)
                raise Overloaded(f"{len(self._waiting)} requests wait already; try again later", retry_after=wait)
            self._waiting.append(job)
            self._changed.notify_all()

    def cancel(self, job: Job) -> None:
        """Free its place; the engine drops a running one at its next token."""
        job.cancelled.set()
        with self._changed:
            if job in self._waiting:
                self._waiting.remove(job)

    def next(self, limit: float) -> Job | None:
        """The next job, or None after `limit` seconds without one. For the engine's thread."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._ended, timeout=limit)
            self._running = self._waiting.popleft() if self._waiting and self._ended is None else None
            return self._running

    def done(self, started: float) -> None:
        """The engine's thread has finished with its job, begun at `started`."""
        with self._changed:
            self._running = None
            self._seconds = 0.8 * self._seconds + 0.2 * (time.monotonic() - started)

    def end(self, why: EngineError) -> None:
        """Take no more requests, and tell those that wait."""
        with self._changed:
            if self._ended is None:
                self._ended = why
            for job in [*self._waiting, *([self._running] if self._running else [])]:
                job.tell(why)
                job.cancelled.set()
            self._waiting.clear()
            self._changed.notify_all()

    @property
    def ended(self) -> bool:
        return self._ended is not None

    def load(self) -> Load:
        """How many wait and run now."""
        with self._changed:
            return Load(len(self._waiting), int(self._running is not None), self._max)
