"""Several engines, a process each, as if they were one. For machines outside Kubernetes, where replicas do this."""

import asyncio
import itertools
import logging
import multiprocessing
import os
import threading
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from forge_inference.engine.contract import Checkpoint, Chunk, Engine, Load, Loaded, Request, Scored
from forge_inference.engine.errors import EngineError, EngineFailed, LoadError, NotReady
from forge_inference.engine.loading import Sources, tokenizer_of
from forge_inference.engine.worker import Ask, Drop, State, work

logger = logging.getLogger(__name__)

_SILENT = 30.0  # seconds without a sign of life of a process that has loaded
_END = 15.0  # seconds for a process to end


class _Call:
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


class _Far:
    """The near end of one process."""

    def __init__(self, name: str, make: Callable[[], Engine], begin: Callable[[], None]) -> None:
        spawn = multiprocessing.get_context("spawn")  # a fork would share torch's threads
        self._wire, theirs = spawn.Pipe()
        self.process = spawn.Process(target=work, args=(theirs, make, begin), name=name, daemon=True)
        self._theirs = theirs
        self._sending = threading.Lock()
        self.calls: dict[int, _Call] = {}
        self.state: State | None = None
        self.heard = time.monotonic()
        self.ended: EngineError | None = None

    def start(self) -> None:
        self.process.start()
        self._theirs.close()  # only the process holds it now: its end is ours
        threading.Thread(target=self._listen, name=f"{self.process.name} listener", daemon=True).start()

    def send(self, word: Ask | Drop | None) -> None:
        with self._sending:
            try:
                self._wire.send(word)
            except OSError:
                logger.warning("%s is gone", self.process.name)

    def _listen(self) -> None:
        try:
            while True:
                number, news = self._wire.recv()
                self.heard = time.monotonic()
                if number == 0:
                    self.state = news
                elif call := self.calls.get(number):
                    call.tell(news)
        except (EOFError, OSError):
            self.process.join(_END)
            self.ended = EngineFailed(f"{self.process.name} ended with status {self.process.exitcode}")
            for call in list(self.calls.values()):
                call.tell(self.ended)


class Workers:
    """Implements `contract.Engine`."""

    def __init__(
        self, make: Callable[[], Engine], sources: Sources, count: int, max_model_len: int, begin: Callable[[], None]
    ) -> None:
        """`make` and `begin` run in each of `count` processes and must be picklable. Raises LoadError."""
        gpus = torch.cuda.device_count()
        if gpus and count > gpus:
            raise LoadError(
                "InvalidSettings", f"--workers (FORGE_WORKERS): {count} engines need a GPU each, and there are {gpus}"
            )
        self._gpus, self._sources, self._max_model_len = gpus, sources, max_model_len
        self._far = [_Far(f"worker {number}", make, begin) for number in range(count)]
        self._numbers = itertools.count(1)
        self._stopping = False

    def start(self) -> None:
        threads = max(1, len(os.sched_getaffinity(0)) // len(self._far))
        visible = os.environ.get("CUDA_VISIBLE_DEVICES", ",".join(map(str, range(self._gpus)))).split(",")
        for number, far in enumerate(self._far):
            own = {"OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", str(threads))}
            with _environment(own | ({"CUDA_VISIBLE_DEVICES": visible[number]} if self._gpus else {})):
                far.start()

    def alive(self) -> bool:
        loaded, now = self.loaded(), time.monotonic()
        return all(
            far.ended is None
            and (loaded is None or (far.state is not None and far.state.alive))
            and (loaded is None or now - far.heard < _SILENT)
            for far in self._far
        )

    def failure(self) -> Exception | None:
        if self._stopping:
            return None
        told = (far.state.failure for far in self._far if far.state)
        return next(filter(None, (*told, *(far.ended for far in self._far))), None)

    def loaded(self) -> Loaded | None:
        found = [far.state.loaded if far.state else None for far in self._far]
        slowest = max((each.load_seconds for each in found if each), default=0.0)
        return None if None in found or found[0] is None else replace(found[0], load_seconds=slowest)

    @property
    def max_model_len(self) -> int:
        return self._max_model_len

    def load(self) -> Load:
        loads = [far.state.load for far in self._far if far.state] or [Load(0, 0, 0)]
        sums = {
            name: sum(getattr(load, name) for load in loads)
            for name in ("waiting", "running", "max_queue", "steps", "stepped")
        }
        names = sorted({name for load in loads for name in load.adapters_running})
        return Load(**sums, cache_used=sum(load.cache_used for load in loads) / len(loads), adapters_running=(*names,))

    def stop(self) -> None:
        self._stopping = True
        for far in self._far:
            far.send(None)
        for far in self._far:
            far.process.join(_END)
            if far.process.is_alive():
                logger.warning("%s did not end within %.0f s and is killed", far.process.name, _END)
                far.process.kill()

    async def generate(self, request: Request) -> AsyncGenerator[Chunk, None]:
        async with self._asked(self._least_busy(), "generate", request) as call:
            while True:
                chunk = await call.next()
                yield chunk
                if chunk.finish:
                    return

    async def score(self, request: Request) -> tuple[Scored, ...]:
        async with self._asked(self._least_busy(), "score", request) as call:
            return tuple(await call.next())

    async def tokenize(self, request: Request) -> list[int]:
        async with self._asked(self._least_busy(), "tokenize", request) as call:
            return list(await call.next())

    def text_of(self, tokens: Sequence[int]) -> str:
        self._ready()
        return str(self._tokenizer.decode(list(tokens)))

    def tokenizer_info(self) -> dict[str, object]:
        return dict(self._ready().tokenizer)

    def adapters(self) -> Mapping[str, Checkpoint]:
        """Those that every process has."""
        states = [far.state for far in self._far]
        if None in states:
            return {}
        first, *others = [state.adapters for state in states if state]
        return {name: found for name, found in first.items() if all(name in other for other in others)}

    async def load_adapter(self, name: str, folder: Path) -> None:
        self._ready()
        done = await self._everywhere("load_adapter", name, folder)
        if refused := [each for each in done.values() if isinstance(each, BaseException)]:
            for far, each in done.items():
                if each is None:
                    async with self._asked(far, "unload_adapter", name) as call:
                        await call.next()
            raise refused[0]

    async def unload_adapter(self, name: str) -> None:
        self._ready()
        done = await self._everywhere("unload_adapter", name)
        if refused := [each for each in done.values() if isinstance(each, BaseException)]:
            raise refused[0]

    async def _everywhere(self, method: Any, *arguments: object) -> dict[_Far, BaseException | None]:
        async def one(far: _Far) -> None:
            async with self._asked(far, method, *arguments) as call:
                await call.next()

        return dict(zip(self._far, await asyncio.gather(*map(one, self._far), return_exceptions=True), strict=True))

    @cached_property
    def _tokenizer(self) -> Any:
        return tokenizer_of(self._sources)

    def _ready(self) -> State:
        if failure := self.failure():
            raise EngineFailed(f"the engine has ended: {failure}")
        state = self._far[0].state
        if self._stopping or self.loaded() is None or state is None:
            raise NotReady("the server is stopping" if self._stopping else "the model is being loaded")
        return state

    def _least_busy(self) -> _Far:
        self._ready()
        return min(self._far, key=lambda far: len(far.calls))

    @asynccontextmanager
    async def _asked(self, far: _Far, method: Any, *arguments: object) -> AsyncIterator[_Call]:
        number, call = next(self._numbers), _Call()
        far.calls[number] = call
        far.send(Ask(number, method, arguments))
        if far.ended:  # between the choice and the call
            call.tell(far.ended)
        try:
            yield call
        finally:
            del far.calls[number]
            far.send(Drop(number))


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    """What a process that is started now finds in its environment: libraries read it when they are imported."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
