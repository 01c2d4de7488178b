"""The engine as the server sees it: one or several processes with an engine each, as if they were one here.

Answering HTTP and computing in one process would take turns at the interpreter's lock. See
docs/decisions/2026-11-24-workers-behind-the-engine.md.
"""

import asyncio
import itertools
import logging
import os
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import pynvml
from tokenizers import Tokenizer

from forge_inference.engine.contract import Checkpoint, Chunk, Engine, Load, Loaded, Request, Scored
from forge_inference.engine.errors import EngineFailed, LoadError, NotReady, Overloaded
from forge_inference.engine.wire import END, Call, Far
from forge_inference.engine.worker import Ask, Drop, State

logger = logging.getLogger(__name__)

_SILENT = 30.0  # seconds without a sign of life of a process that has loaded


class Workers:
    """Implements `contract.Engine`."""

    def __init__(
        self,
        make: Callable[[], Engine],
        count: int,
        *,
        base_model: Path,
        max_model_len: int,
        places: int,
        beside: bool = False,
    ) -> None:
        """`make` runs in each of `count` processes and must be picklable.

        `places`: requests that one process takes, those that wait there included. `beside`: while these load, another
        model serves, for which memory is to be left. Raises LoadError.
        """
        self._gpus = _gpus() if count > 1 else []
        if self._gpus and count > len(self._gpus):
            have = f"{count} engines need a GPU each, and there are {len(self._gpus)}"
            raise LoadError("InvalidSettings", f"--workers (FORGE_WORKERS): {have}")
        self._base_model, self._max_model_len, self._places = base_model, max_model_len, places
        self._far = [Far(f"worker {number}", make, beside) for number in range(count)]
        self._numbers = itertools.count(1)
        self._seconds = 1.0  # from a request's arrival to its end, lately
        self._stopping = False

    def start(self) -> None:
        threads = max(1, len(os.sched_getaffinity(0)) // len(self._far))
        for number, far in enumerate(self._far):
            own = {}
            if len(self._far) > 1:
                own["OMP_NUM_THREADS"] = os.environ.get("OMP_NUM_THREADS", str(threads))
            if self._gpus:
                own["CUDA_VISIBLE_DEVICES"] = self._gpus[number]
            with _environment(own):
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
        told = (far.state.failure for far in self._far if far.state)
        return next(filter(None, (*told, *(far.ended for far in self._far))), None)

    def stage(self) -> str:
        """Of the first that does not serve yet."""
        states = [far.state for far in self._far if not (far.state and far.state.loaded)]
        return next((state.stage if state else "starting" for state in states), "serving")

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
        started = [far for far in self._far if far.process.pid]
        for far in started:
            far.send(None)
        for far in started:
            far.process.join(END)
            if far.process.is_alive():
                logger.warning("%s did not end within %.0f s and is killed", far.process.name, END)
                far.process.kill()

    async def generate(self, request: Request) -> AsyncGenerator[Chunk, None]:
        async with self._place() as far, self._asked(far, "generate", request) as call:
            while True:
                chunk = await call.next()
                yield chunk
                if chunk.finish:
                    return

    async def score(self, request: Request) -> tuple[Scored, ...]:
        async with self._place() as far, self._asked(far, "score", request) as call:
            return tuple(await call.next())

    async def tokenize(self, request: Request) -> list[int]:
        async with self._asked(self._least_busy(), "tokenize", request) as call:
            return list(await call.next())

    def text_of(self, tokens: Sequence[int]) -> str:
        self._ready()
        return str(self._tokenizer.decode(list(tokens), skip_special_tokens=False))

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

    async def _everywhere(self, method: Any, *arguments: object) -> dict[Far, BaseException | None]:
        async def one(far: Far) -> None:
            async with self._asked(far, method, *arguments) as call:
                await call.next()

        return dict(zip(self._far, await asyncio.gather(*map(one, self._far), return_exceptions=True), strict=True))

    @cached_property
    def _tokenizer(self) -> Tokenizer:
        loaded = self.loaded()
        folder = loaded.tokenizer if loaded and loaded.tokenizer else self._base_model
        return Tokenizer.from_file(str(folder / "tokenizer.json"))

    def _ready(self) -> State:
        if failure := self.failure():
            raise EngineFailed(f"the engine has ended: {failure}")
        state = self._far[0].state
        if self._stopping or self.loaded() is None or state is None:
            raise NotReady("the server is stopping" if self._stopping else "the model is being loaded")
        return state

    def _least_busy(self) -> Far:
        self._ready()
        return min(self._far, key=lambda far: far.taken)

    @asynccontextmanager
    async def _place(self) -> AsyncIterator[Far]:
        """Where there is most room. Raises Overloaded before anything is done for the request."""
        far, start = self._least_busy(), time.monotonic()
        if far.taken >= self._places:
            raise Overloaded(
                f"{far.taken} requests wait or run already; try again later", retry_after=max(1.0, self._seconds / 2)
            )
        far.taken += 1
        try:
            yield far
            self._seconds = 0.9 * self._seconds + 0.1 * (time.monotonic() - start)
        finally:
            far.taken -= 1

    @asynccontextmanager
    async def _asked(self, far: Far, method: Any, *arguments: object) -> AsyncIterator[Call]:
        number, call = next(self._numbers), Call()
        far.calls[number] = call
        far.send(Ask(number, method, arguments))
        if far.ended:  # between the choice and the call
            call.tell(EngineFailed(str(far.ended)))
        try:
            yield call
        finally:
            del far.calls[number]
            far.send(Drop(number))


def _gpus() -> list[str]:
    """As CUDA names them; without torch, which only the processes need."""
    if visible := os.environ.get("CUDA_VISIBLE_DEVICES"):
        return visible.split(",")
    try:
        pynvml.nvmlInit()
        return [str(number) for number in range(pynvml.nvmlDeviceGetCount())]
    except pynvml.NVMLError:
        return []


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
