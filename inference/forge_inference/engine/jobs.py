"""Requests on their way between the event loop and the engine's thread."""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from forge_inference.engine.contract import Chunk, Load, Request, Scored
from forge_inference.engine.errors import DeadlineExceeded, EngineError, Overloaded

News = Chunk | tuple[Scored, ...] | EngineError


@dataclass(eq=False)
class Job:
    """One request; one without new tokens asks for the prompt's score. `deadline` is of time.monotonic()."""

    request: Request
    prompt: Sequence[int]
    deadline: float
    loop: asyncio.AbstractEventLoop
    since: float = field(default_factory=time.monotonic)
    news: "asyncio.Queue[News]" = field(default_factory=asyncio.Queue)
    cancelled: threading.Event = field(default_factory=threading.Event)

    def tell(self, news: News) -> None:
        """From the engine's thread to whoever waits for the answer."""
        try:
            self.loop.call_soon_threadsafe(self.news.put_nowait, news)
        except RuntimeError:  # the event loop has ended, and nobody waits any more
            self.cancelled.set()

    async def next(self) -> Chunk | tuple[Scored, ...]:
        """What the engine tells next. Raises what it told instead, and DeadlineExceeded."""
        try:
            async with asyncio.timeout(max(0.0, self.deadline - time.monotonic())):
                news = await self.news.get()
        except TimeoutError:
            raise DeadlineExceeded("the answer took longer than this server allows, waiting included") from None
        if isinstance(news, EngineError):
            raise news
        return news

    @property
    def is_over(self) -> bool:
        """Whether nobody waits for the answer any more."""
        return self.cancelled.is_set() or time.monotonic() >= self.deadline


class Line:
    """The bounded queue. Every method may be called from any thread."""

    def __init__(self, max_queue: int, max_tokens: int) -> None:
        """So many requests may wait, with so many prompt tokens in all."""
        self._max, self._max_tokens = max_queue, max_tokens
        self._waiting: deque[Job] = deque()
        self._running: dict[Job, float] = {}  # since when
        self._orders: deque[tuple[Callable[[], Any], Future[Any]]] = deque()
        self._changed = threading.Condition()
        self._ended: EngineError | None = None
        self._seconds = 1.0  # of one request, lately

    def add(self, job: Job) -> None:
        """Raises Overloaded, or why no more requests are taken."""
        with self._changed:
            if self._ended is not None:
                raise self._ended
            tokens = sum(len(each.prompt) for each in self._waiting)
            many = len(self._waiting) >= self._max
            if many or (self._waiting and tokens + len(job.prompt) > self._max_tokens):
                wait = max(1.0, self._seconds * len(self._waiting) / max(1, len(self._running)) / 2)
                what = "" if many else f" with {tokens} prompt tokens"
                raise Overloaded(f"{len(self._waiting)} requests{what} wait already; try again later", retry_after=wait)
            self._waiting.append(job)
            self._changed.notify_all()

    def cancel(self, job: Job) -> None:
        """Free its place; the engine drops a running one after its present step."""
        job.cancelled.set()
        with self._changed:
            if job in self._waiting:
                self._waiting.remove(job)

    def order(self, work: Callable[[], Any]) -> "Future[Any]":
        """Have the engine's thread do this between two steps. Raises why no more is done."""
        with self._changed:
            if self._ended is not None:
                raise self._ended
            future: Future[Any] = Future()
            self._orders.append((work, future))
            self._changed.notify_all()
            return future

    def obey(self) -> None:
        """Do what was ordered. For the engine's thread."""
        while self._orders:
            work, future = self._orders.popleft()
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(work())
                except EngineError as error:
                    future.set_exception(error)

    def wait(self, limit: float) -> None:
        """Return after `limit` seconds, or when there is something to do or to end. For the engine's thread."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or self._orders or self._ended, timeout=limit)

    def take(self, room: int) -> list[Job]:
        """The next jobs, at most `room`; they run from now on. For the engine's thread."""
        taken: list[Job] = []
        with self._changed:
            while self._waiting and len(taken) < room and self._ended is None:
                job = self._waiting.popleft()
                if not job.is_over:
                    taken.append(job)
                    self._running[job] = time.monotonic()
        return taken

    def done(self, job: Job) -> None:
        """The engine's thread has finished with it."""
        with self._changed:
            if (started := self._running.pop(job, None)) is not None:
                self._seconds = 0.9 * self._seconds + 0.1 * (time.monotonic() - started)

    def end(self, why: EngineError) -> None:
        """Take no more requests, and tell those that wait."""
        with self._changed:
            if self._ended is None:
                self._ended = why
            for job in [*self._waiting, *self._running]:
                job.tell(why)
                job.cancelled.set()
            self._waiting.clear()
            for _, future in self._orders:
                future.set_exception(why)
            self._orders.clear()
            self._changed.notify_all()

    @property
    def ended(self) -> bool:
        return self._ended is not None

    def load(self) -> Load:
        """How many wait and run now."""
        with self._changed:
            return Load(len(self._waiting), len(self._running), self._max)
