"""One process with an engine of its own, at the far end of a wire; `workers.py` is the near end."""

import asyncio
import logging
import signal
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Literal

from forge_inference.engine.contract import Checkpoint, Engine, Load, Loaded
from forge_inference.engine.errors import EngineError, EngineFailed

logger = logging.getLogger(__name__)

LOOK = 0.1  # seconds between two looks at the engine's state
BEAT = 10  # looks after which the state is told although it is the same
_OOM = Path("/proc/self/oom_score_adj")  # how soon the kernel kills this process when memory is short; Linux only
_FIRST = "1000"


@dataclass(frozen=True)
class State:
    """What the engine says of itself."""

    alive: bool
    failure: Exception | None
    stage: str
    loaded: Loaded | None
    load: Load
    adapters: Mapping[str, Checkpoint]
    tokenizer: Mapping[str, object]


@dataclass(frozen=True)
class Ask:
    """Call this method of the engine. `number` stands on all that is told of it."""

    number: int
    method: Literal["generate", "score", "tokenize", "load_adapter", "unload_adapter"]
    arguments: tuple[Any, ...]


@dataclass(frozen=True)
class Drop:
    """Nobody waits for this any more."""

    number: int


def work(wire: Connection, make: Callable[[], Engine], beside: bool) -> None:
    """The process: an engine that does what comes over the wire, until the wire ends or brings None.

    `beside`: another model serves. When memory is short while this one loads, it is this one that shall go.
    """
    for number in (signal.SIGINT, signal.SIGTERM):  # may be for the whole group; the near end says when to end
        signal.signal(number, signal.SIG_IGN)
    usual = _oom_score(_FIRST) if beside else None
    engine = make()
    asyncio.run(_Worker(wire, engine, usual).run())
    engine.stop()


class _Worker:
    def __init__(self, wire: Connection, engine: Engine, oom_score: str | None) -> None:
        """`oom_score`: to be taken again when the engine serves."""
        self._wire, self._engine, self._oom_score = wire, engine, oom_score
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._untold: list[tuple[int, object]] = []

    async def run(self) -> None:
        loop, inbox = asyncio.get_running_loop(), asyncio.Queue[Ask | Drop | None]()
        threading.Thread(target=_read, args=(self._wire, loop, inbox), daemon=True).start()
        self._engine.start()
        telling = asyncio.create_task(self._tell())
        while (word := await inbox.get()) is not None:
            if isinstance(word, Drop):
                if task := self._tasks.pop(word.number, None):
                    task.cancel()
            else:
                self._tasks[word.number] = asyncio.create_task(self._do(word))
        for task in (telling, *self._tasks.values()):
            task.cancel()
        if self._untold:
            self._flush()

    async def _tell(self) -> None:
        """The state, when it has changed and as a sign of life."""
        last: State | None = None
        same = 0
        while True:
            state = self._state()
            if self._oom_score and state.loaded:
                _oom_score(self._oom_score)
                self._oom_score = None
            same = same + 1 if state == last else 0
            if same % BEAT == 0:
                self._send(0, state)
            last = state
            await asyncio.sleep(LOOK)

    def _state(self) -> State:
        engine, failure = self._engine, self._engine.failure()
        loaded = engine.loaded()
        tokenizer = engine.tokenizer_info() if loaded and not failure else {}
        adapters = dict(engine.adapters())
        return State(engine.alive(), failure, engine.stage(), loaded, engine.load(), adapters, tokenizer)

    async def _do(self, ask: Ask) -> None:
        try:
            if ask.method == "generate":
                async for chunk in self._engine.generate(*ask.arguments):
                    self._send(ask.number, chunk)
            else:
                answer = await getattr(self._engine, ask.method)(*ask.arguments)
                if ask.method.endswith("adapter"):  # what is loaded is known before the answer is
                    self._send(0, self._state())
                self._send(ask.number, answer)
        except EngineError as error:
            self._send(ask.number, error)
        except Exception as error:
            logger.exception("%s failed", ask.method)
            self._send(ask.number, EngineFailed(f"{type(error).__name__}: {error}"))
        finally:
            self._tasks.pop(ask.number, None)

    def _send(self, number: int, news: object) -> None:
        """In one message with all that this turn of the loop tells: a step has news for each answer in it."""
        if not self._untold:
            asyncio.get_running_loop().call_soon(self._flush)
        self._untold.append((number, news))

    def _flush(self) -> None:
        told, self._untold = self._untold, []
        try:
            self._wire.send(told)
        except OSError:
            logger.warning("the near end of the wire is gone")


def _oom_score(new: str) -> str:
    """Set it; what it was before."""
    if not _OOM.exists():
        return new
    old = _OOM.read_text()
    try:
        _OOM.write_text(new)
    except OSError as error:
        logger.warning("%s stays at %s: %s", _OOM, old.strip(), error.strerror)
    return old


def _read(wire: Connection, loop: asyncio.AbstractEventLoop, inbox: "asyncio.Queue[Ask | Drop | None]") -> None:
    """The thread that listens."""
    word: Ask | Drop | None = None
    try:
        while (word := wire.recv()) is not None:
            loop.call_soon_threadsafe(inbox.put_nowait, word)
    except EOFError:
        logger.warning("the server has ended")
    loop.call_soon_threadsafe(inbox.put_nowait, None)
