"""The engine as the web room sees it: one model serves, and another one can take its place while requests run.

See docs/decisions/2026-11-26-exchange-by-a-second-engine.md.
"""

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing, contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from pathlib import Path

from forge_inference.engine.contract import (
    Checkpoint,
    Chunk,
    Engine,
    Load,
    Loaded,
    Offer,
    Offered,
    Request,
    Scored,
    Served,
)
from forge_inference.engine.errors import Busy, EngineError, EngineFailed, InvalidRequest, LoadError, NotReady

logger = logging.getLogger(__name__)

_LOOK = 0.1  # seconds between two looks at an engine that loads
_LONGEST = 30 * 60.0  # seconds of loading, as a pod may take
_SPARE = 5.0  # seconds for an answer that has reached its deadline to be sent


class _Model:
    """An engine, the name of its model, and how many are with it."""

    def __init__(self, name: str, engine: Engine) -> None:
        self.name, self.engine = name, engine
        self._guests = 0
        self.left = asyncio.Event()
        self.left.set()

    @contextmanager
    def hosting(self) -> Iterator[None]:
        """The engine is not stopped meanwhile."""
        self._guests += 1
        self.left.clear()
        try:
            yield
        finally:
            self._guests -= 1
            if not self._guests:
                self.left.set()

    def served(self) -> Served:
        return Served(self.name, self.engine.loaded())


_held: ContextVar[_Model | None] = ContextVar("held", default=None)


class Exchange:
    """Implements `contract.Exchangeable`."""

    def __init__(
        self, name: str, engine: Engine, successor: Callable[[Offer], tuple[str, Engine]], *, longest_answer: float
    ) -> None:
        """`successor` makes the engine for an offer, and its model's name; it may raise LoadError.

        `longest_answer`: seconds for which a model whose place was taken may go on with what it has begun.
        """
        self._present = _Model(name, engine)
        self._successor, self._longest_answer = successor, longest_answer
        self._others: list[Engine] = []  # that run beside the present one
        self._beside: dict[str, Path] = {}  # adapters that were loaded, and their folders
        self._changing = asyncio.Lock()  # of adapters, or of the present model
        self._offered: Offered | None = None
        self._task: asyncio.Task[None] | None = None

    # What follows is asked of the model that the caller holds, or else of the present one.

    def _model(self) -> _Model:
        return _held.get() or self._present

    @property
    def name(self) -> str:
        return self._model().name

    @contextmanager
    def held(self) -> Iterator[None]:
        model = self._present
        token = _held.set(model)
        try:
            with model.hosting():
                yield
        finally:
            _held.reset(token)

    async def generate(self, request: Request) -> AsyncGenerator[Chunk, None]:
        model = self._model()
        with model.hosting():
            async with aclosing(model.engine.generate(request)) as answer:
                async for chunk in answer:
                    yield chunk

    async def score(self, request: Request) -> tuple[Scored, ...]:
        model = self._model()
        with model.hosting():
            return await model.engine.score(request)

    async def tokenize(self, request: Request) -> list[int]:
        model = self._model()
        with model.hosting():
            return await model.engine.tokenize(request)

    def text_of(self, tokens: Sequence[int]) -> str:
        return self._model().engine.text_of(tokens)

    def tokenizer_info(self) -> dict[str, object]:
        return self._model().engine.tokenizer_info()

    def adapters(self) -> Mapping[str, Checkpoint]:
        return self._model().engine.adapters()

    def loaded(self) -> Loaded | None:
        return self._model().engine.loaded()

    @property
    def max_model_len(self) -> int:
        return self._model().engine.max_model_len

    # What follows is about the present model, whatever the caller holds.

    def start(self) -> None:
        self._present.engine.start()

    def alive(self) -> bool:
        return self._present.engine.alive()

    def failure(self) -> Exception | None:
        return self._present.engine.failure()

    def stage(self) -> str:
        return self._present.engine.stage()

    def load(self) -> Load:
        return self._present.engine.load()

    async def load_adapter(self, name: str, folder: Path) -> None:
        async with self._changing:
            await self._present.engine.load_adapter(name, folder)
            self._beside[name] = folder

    async def unload_adapter(self, name: str) -> None:
        async with self._changing:
            await self._present.engine.unload_adapter(name)
            self._beside.pop(name, None)

    def stop(self) -> None:
        if self._task:
            self._task.cancel()
        for engine in (*self._others, self._present.engine):
            engine.stop()

    # What follows is the exchange.

    def offer(self, offer: Offer) -> None:
        if failure := self.failure():
            raise EngineFailed(f"the engine has ended: {failure}")
        if self._present.engine.loaded() is None:
            raise NotReady("the model is being loaded; offer another one when it serves")
        if self._offered and self._offered.ended is None:
            what = f"{self._offered.offer.checkpoint} is {self._offered.state} ({self._offered.stage})"
            raise Busy(f"{what}; one checkpoint is loaded at a time, try again later")
        self._offered = Offered(offer, self._present.served(), datetime.now(UTC))
        self._task = asyncio.create_task(self._exchange(self._offered))

    def offered(self) -> Offered | None:
        return self._offered

    async def _exchange(self, offered: Offered) -> None:
        try:
            before = await self._replaced(offered)
        except Exception as error:
            if not isinstance(error, EngineError):
                logger.exception("%s could not be loaded", offered.offer.checkpoint)
                error = EngineFailed(f"{type(error).__name__}: {error}")
            logger.warning("%s is not served: %s", offered.offer.checkpoint, error)
            offered.stage = "giving its memory back"
            await self._end_others()
            offered.state, offered.failure = "failed", error
        else:
            offered.state, offered.after = "finishing", self._present.served()
            offered.stage = f"{before.name} finishes what it has begun"
            try:
                async with asyncio.timeout(self._longest_answer + _SPARE):
                    await before.left.wait()
            except TimeoutError:  # a client that does not read its answer
                logger.warning("%s is stopped before all its answers were read", before.name)
            await self._end_others()
            offered.state = "done"
        offered.stage, offered.ended = "", datetime.now(UTC)

    async def _replaced(self, offered: Offered) -> _Model:
        """The model of before; the offered one is present. Raises EngineError, whereupon nothing has changed."""
        offered.stage = "checking files"
        name, engine = await asyncio.to_thread(self._successor, offered.offer)
        self._others.append(engine)
        engine.start()
        await _loaded(engine, offered)
        async with self._changing:
            for adapter, folder in self._beside.items():
                offered.stage = f"loading the adapter {adapter!r} as well"
                try:
                    await engine.load_adapter(adapter, folder)
                except InvalidRequest as error:
                    what = f"The adapter {adapter!r}, which was loaded beside the model, cannot be taken along"
                    raise LoadError("CheckpointInvalid", f"{what}; unload it first. {error}") from error
            # Nothing is awaited between these: no request finds two models, or none.
            before, self._present = self._present, _Model(name, engine)
            self._others = [before.engine]
        logger.info("serving %s instead of %s", name, before.name)
        return before

    async def _end_others(self) -> None:
        for engine in self._others:
            await asyncio.to_thread(engine.stop)
        self._others = []


async def _loaded(engine: Engine, offered: Offered) -> None:
    """Return when it serves. Raises why it never will."""
    end = time.monotonic() + _LONGEST
    while not (failure := engine.failure()) and engine.loaded() is None:
        offered.stage = engine.stage()
        if time.monotonic() > end:
            raise EngineFailed(f"it was not loaded within {_LONGEST / 60:.0f} minutes, last: {offered.stage}")
        await asyncio.sleep(_LOOK)
    if failure:
        raise failure
