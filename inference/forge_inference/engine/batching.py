"""The engine: one thread steps a batch that requests enter and leave at any time."""

import asyncio
import gc
import logging
import threading
import time
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import torch

from forge_inference.checkpoint import preflight
from forge_inference.checkpoint.errors import CheckpointError
from forge_inference.checkpoint.identity import identity
from forge_inference.engine import proof
from forge_inference.engine.admission import prompt_of
from forge_inference.engine.answer import Answer, Ear
from forge_inference.engine.contract import CHECKPOINT, Checkpoint, Chunk, Load, Loaded, Request, Scored
from forge_inference.engine.description import described, fetched
from forge_inference.engine.errors import (
    EngineError,
    EngineFailed,
    InvalidRequest,
    LoadError,
    NotReady,
    Overloaded,
    UnknownAdapter,
)
from forge_inference.engine.jobs import Job, Line
from forge_inference.engine.loading import Sources, listener
from forge_inference.engine.scoring import score
from forge_inference.engine.serving import Serving, out_of_memory

logger = logging.getLogger(__name__)

_IDLE = 1.0  # seconds between two heart beats without work
_SILENT = 300.0  # seconds of one step after which the thread is said to hang; a long prompt on a slow CPU takes less


class BatchingEngine:
    """Implements `contract.Engine`."""

    def __init__(
        self, sources: Sources, *, max_model_len: int, max_queue: int, max_batch: int, request_timeout_seconds: float
    ) -> None:
        """`max_model_len` counts tokens, of prompt and answer together; `max_batch` answers are made at once."""
        self._sources = sources
        self._max_model_len, self._max_batch, self._timeout = max_model_len, max_batch, request_timeout_seconds
        self._line = Line(max_queue, max_tokens=max(max_model_len, max_queue * max_model_len // 4))
        self._thread = threading.Thread(target=self._live, name="engine", daemon=True)
        self._beat = time.monotonic()
        self._failure: Exception | None = None
        self._stage = "starting"
        self._serving: Serving | None = None
        self._loaded: Loaded | None = None
        self._answers: dict[Job, Answer] = {}
        self._steps = self._stepped = 0

    def start(self) -> None:
        self._thread.start()

    def alive(self) -> bool:
        if not self._thread.is_alive():
            return False
        return self._loaded is None or time.monotonic() - self._beat < _SILENT

    def failure(self) -> Exception | None:
        return self._failure

    def stage(self) -> str:
        return self._stage

    def loaded(self) -> Loaded | None:
        return self._loaded

    @property
    def max_model_len(self) -> int:
        return self._max_model_len

    def load(self) -> Load:
        used = self._serving.batches.used() if self._loaded and self._serving else 0.0
        running = {job.request.adapter or "" for job in list(self._answers) if job.request.adapter is not None}
        return replace(
            self._line.load(),
            cache_used=used,
            adapters_running=tuple(sorted(running)),
            steps=self._steps,
            stepped=self._stepped,
        )

    def stop(self) -> None:
        self._line.end(NotReady("the server is stopping"))
        if self._thread.is_alive():
            self._thread.join(timeout=_IDLE * 10)
        self._serving = None
        gc.collect()  # what is left of the batch refers to itself, and holds the weights
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    async def generate(self, request: Request) -> AsyncGenerator[Chunk, None]:
        if request.max_new_tokens is not None and request.max_new_tokens < 1:
            raise InvalidRequest("max_new_tokens must be at least 1")
        async with self._waiting_for(request) as job:
            while True:
                news = await job.next()
                assert isinstance(news, Chunk)  # noqa: S101 - nothing else is told of a request for new tokens
                yield news
                if news.finish:
                    return

    async def score(self, request: Request) -> tuple[Scored, ...]:
        async with self._waiting_for(replace(request, max_new_tokens=0)) as job:
            news = await job.next()
            assert isinstance(news, tuple)  # noqa: S101 - and nothing else of one without
            return news

    async def tokenize(self, request: Request) -> list[int]:
        # Tokenising a long text takes a while: the event loop must go on.
        return await asyncio.to_thread(self._prompt, request)

    def text_of(self, tokens: Sequence[int]) -> str:
        return str(self._ready().weights.tokenizer.decode(list(tokens)))

    def tokenizer_info(self) -> dict[str, object]:
        tokenizer = self._ready().weights.tokenizer
        return {
            "tokenizer_class": type(tokenizer).__name__,
            "chat_template": tokenizer.chat_template,
            "model_max_length": self._max_model_len,
            **{name: str(token) for name, token in tokenizer.special_tokens_map.items() if isinstance(token, str)},
        }

    def adapters(self) -> Mapping[str, Checkpoint]:
        if self._serving is None:
            return {}
        weights = self._serving.weights
        return {name: described(adapter, weights.quantization) for name, adapter in weights.adapters.names().items()}

    async def load_adapter(self, name: str, folder: Path) -> None:
        serving = self._ready()
        try:
            adapter = await asyncio.to_thread(preflight.check, folder, str(folder), serving.weights.base)
        except CheckpointError as error:
            raise InvalidRequest(str(error)) from error
        await asyncio.wrap_future(self._line.order(lambda: serving.add(name, folder, adapter)))

    async def unload_adapter(self, name: str) -> None:
        serving = self._ready()
        await asyncio.wrap_future(self._line.order(lambda: serving.remove(name)))

    def _ready(self) -> Serving:
        if self._failure is not None:
            raise EngineFailed(f"the engine has ended: {self._failure}")
        if self._loaded is None or self._serving is None:
            raise NotReady("the model is being loaded")
        return self._serving

    def _prompt(self, request: Request) -> list[int]:
        serving = self._ready()
        return prompt_of(request, serving.prompts, rows=serving.rows, longest=self._max_model_len)

    def _slot(self, request: Request) -> int:
        weights = self._ready().weights
        if request.adapter is None and weights.adapter.choice.kind == "model":
            raise UnknownAdapter("the checkpoint is a whole model: there is no base model beside it to ask")
        try:
            return weights.adapters.slot(request.adapter)
        except KeyError:
            raise UnknownAdapter(f"no adapter is loaded by the name {request.adapter!r}") from None

    @asynccontextmanager
    async def _waiting_for(self, request: Request) -> AsyncIterator[Job]:
        deadline = time.monotonic() + self._timeout
        prompt = await self.tokenize(request)
        self._slot(request)
        job = Job(request, prompt, deadline, asyncio.get_running_loop())
        self._line.add(job)
        try:
            yield job
        finally:
            self._line.cancel(job)

    def _live(self) -> None:
        """The thread."""
        try:
            self._prepare()
            while not self._line.ended:
                self._beat = time.monotonic()
                self._turn()
        except LoadError as error:
            self._end(error)
        except Exception as error:
            logger.exception("the engine ended")
            if out_of_memory(error):  # while loading: a step's own is caught in _turn
                error = LoadError(
                    "OutOfMemory",
                    "The model does not fit into the device's memory: choose a larger spec.profile, or "
                    "spec.quantization.method nf4.",
                )
            self._end(error if isinstance(error, EngineError) else EngineFailed(f"{type(error).__name__}: {error}"))

    def _end(self, why: EngineError) -> None:
        self._failure = why
        self._line.end(EngineFailed(str(why)))

    def _turn(self) -> None:
        """What is between two steps, and one step."""
        self._line.obey()
        for job in [job for job in self._answers if job.is_over]:
            self._ready().batches.drop(self._answers[job])
            self._done(job)
        self._ready().weights.adapters.sweep({answer.slot for answer in self._answers.values()})
        for job in self._line.take(self._max_batch - len(self._answers)):
            self._begin(job)
        try:
            stepped = self._ready().batches.step()
        except Exception as error:
            if not out_of_memory(error):
                raise
            logger.exception("%d answers did not fit into memory", len(self._answers))
            why = f"{len(self._answers)} requests at once did not fit into the device's memory; try again"
            self._ready().batches.reset(Overloaded(why, retry_after=1))
            torch.cuda.empty_cache()
            return
        self._steps, self._stepped = self._steps + bool(stepped), self._stepped + stepped
        if not stepped:
            self._line.wait(_IDLE)

    def _begin(self, job: Job) -> None:
        serving = self._ready()
        try:
            slot = self._slot(job.request)
        except UnknownAdapter as error:  # unloaded while the request waited
            job.tell(error)
            self._line.done(job)
            return
        if job.request.max_new_tokens == 0:
            job.tell(score(proof.forward(serving.weights, slot), job.prompt, job.request.top_logprobs))
            self._line.done(job)
            return
        ear = Ear(job.tell, lambda: self._done(job))
        self._answers[job] = answer = serving.answer(job.request, job.prompt, slot, ear)
        answer.waited = time.monotonic() - job.since
        serving.batches.add(answer)

    def _done(self, job: Job) -> None:
        self._answers.pop(job, None)
        self._line.done(job)

    def _prepare(self) -> None:
        start = time.monotonic()
        listener.set(self._tell)
        serving = self._serving = Serving.of(self._sources, self._max_model_len, self._max_batch)
        self._tell("trying the adapter")
        effect, probe = serving.prove(CHECKPOINT, self._sources.checkpoint_uri)
        weights = serving.weights
        self._loaded = Loaded(
            checkpoint=fetched(described(weights.adapter, weights.quantization), self._sources),
            plan=weights.plan,
            quantization=weights.quantization,
            effect=effect,
            probe=probe,
            device=str(weights.device),
            load_seconds=time.monotonic() - start,
            base_digest=identity(weights.base),
            tokenizer=weights.tokenizer_folder,
            steps=serving.batches.how,
        )
        logger.info("ready after %.1f s", time.monotonic() - start)

    def _tell(self, stage: str) -> None:
        self._stage = stage
