"""The near end of one worker's process."""

import asyncio
import logging
import multiprocessing
import signal
import threading
import time
from collections.abc import Callable
from typing import Any

from forge_inference.engine.contract import Engine
from forge_inference.engine.errors import EngineError, EngineFailed, LoadError, NotReady
from forge_inference.engine.worker import Ask, Drop, State, work

logger = logging.getLogger(__name__)

END = 15.0  # seconds for a process to end


class Call:
    """What one caller waits for."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._news = asyncio.Queue[Any]()

    def tell(self, news: object) -> None:
        """From the thread that listens."""
        self._loop.call_soon_threadsafe(self._news.put_nowait, news)

    async def next(self) -> Any:
        """Raises what was told instead."""
        news = await self._news.get()
        if isinstance(news, EngineError):
            raise news
        return news


class Far:
    """The near end of one process."""

    def __init__(self, name: str, make: Callable[[], Engine], beside: bool) -> None:
        spawn = multiprocessing.get_context("spawn")  # a fork would share torch's threads
        self._wire, theirs = spawn.Pipe()
        self.process = spawn.Process(target=work, args=(theirs, make, beside), name=name, daemon=True)
        self._theirs = theirs
        self._sending = threading.Lock()
        self._leaving = False  # was told to end
        self.calls: dict[int, Call] = {}
        self.taken = 0  # places
        self.state: State | None = None
        self.heard = time.monotonic()
        self.ended: EngineError | None = None

    def start(self) -> None:
        self.process.start()
        self._theirs.close()  # only the process holds it now: its end is ours
        threading.Thread(target=self._listen, name=f"{self.process.name} listener", daemon=True).start()

    def send(self, word: Ask | Drop | None) -> None:
        self._leaving = self._leaving or word is None
        with self._sending:
            try:
                self._wire.send(word)
            except OSError:
                logger.warning("%s is gone", self.process.name)

    def _listen(self) -> None:
        try:
            while True:
                told = self._wire.recv()
                self.heard = time.monotonic()
                for number, news in told:
                    if number == 0:
                        self.state = news
                    elif call := self.calls.get(number):
                        call.tell(news)
        except (EOFError, OSError):
            why: EngineError = NotReady("the model is no longer served")
            if not self._leaving:
                self.process.join(END)
                self.ended = _why(self.process.name, self.process.exitcode)
                why = EngineFailed(str(self.ended))
            for call in list(self.calls.values()):
                call.tell(why)


def _why(name: str, status: int | None) -> EngineError:
    if status == -signal.SIGKILL:  # the kernel kills the largest process of a container, not its first
        return LoadError(
            "OutOfMemory",
            f"{name} was killed, as the kernel does when memory is short: choose a larger spec.profile, "
            "spec.quantization.method nf4, or a smaller spec.serving.maxModelLen.",
        )
    return EngineFailed(f"{name} ended with status {status}; its log says why")
