"""The plain engine: one thread owns the model and answers one request after another, token by token."""

import asyncio
import logging
import math
import threading
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import nullcontext
from typing import Any

import torch

from forge_inference.checkpoint.effect import max_abs_logit_delta
from forge_inference.engine.contract import (
    AdapterEffect,
    Checkpoint,
    Chunk,
    FinishReason,
    Load,
    Loaded,
    Probe,
    Request,
)
from forge_inference.engine.errors import (
    DeadlineExceeded,
    EngineError,
    EngineFailed,
    InvalidRequest,
    LoadError,
    NotReady,
    PromptTooLong,
)
from forge_inference.engine.jobs import Job, Line
from forge_inference.engine.loading import Sources, Weights, load
from forge_inference.engine.prompts import Prompts, closing_tokens
from forge_inference.engine.sampling import Chooser
from forge_inference.engine.text import TextStream

logger = logging.getLogger(__name__)

_PROBE = ("What is a gene?", "The function of the protein is", "def main():")
_PROBE_TOKENS = 8
_IDLE = 1.0  # seconds between two heart beats without work
_SILENT = 60.0  # seconds without a heart beat after which the thread is said to hang; one step takes far less


class PlainEngine:
    """Implements `contract.Engine`. Not fast: every other engine is compared with it."""

    def __init__(self, sources: Sources, *, max_model_len: int, max_queue: int, request_timeout_seconds: float) -> None:
        """`max_model_len` counts tokens, of prompt and answer together."""
        self._sources = sources
        self._max_model_len, self._timeout = max_model_len, request_timeout_seconds
        self._line = Line(max_queue)
        self._thread = threading.Thread(target=self._live, name="engine", daemon=True)
        self._beat = time.monotonic()
        self._failure: Exception | None = None
        self._loaded: Loaded | None = None
        self._weights: Weights | None = None
        self._prompts: Prompts | None = None
        self._closing: frozenset[int] = frozenset()

    def start(self) -> None:
        self._thread.start()

    def alive(self) -> bool:
        if not self._thread.is_alive():
            return False
        return self._loaded is None or time.monotonic() - self._beat < _SILENT

    def failure(self) -> Exception | None:
        return self._failure

    def loaded(self) -> Loaded | None:
        return self._loaded

    def load(self) -> Load:
        return self._line.load()

    def stop(self) -> None:
        self._line.end(NotReady("the server is stopping"))
        if self._thread.is_alive():
            self._thread.join(timeout=_IDLE * 10)

    async def generate(self, request: Request) -> AsyncGenerator[Chunk, None]:
        deadline = time.monotonic() + self._timeout
        # Tokenising a long text takes a while: the event loop must go on.
        prompt = await asyncio.to_thread(self._admit, request)
        job = Job(request, prompt, deadline, asyncio.get_running_loop())
        self._line.add(job)
        try:
            while True:
                try:
                    async with asyncio.timeout(max(0.0, deadline - time.monotonic())):
                        news = await job.chunks.get()
                except TimeoutError:
                    raise DeadlineExceeded(f"no answer within {self._timeout:g} s, waiting included") from None
                if isinstance(news, EngineError):
                    raise news
                yield news
                if news.finish:
                    return
        finally:
            self._line.cancel(job)

    def _admit(self, request: Request) -> list[int]:
        """The prompt's tokens. Raises what is wrong with the request."""
        if self._failure is not None:
            raise EngineFailed(f"the engine has ended: {self._failure}")
        if self._loaded is None or self._prompts is None:
            raise NotReady("the model is being loaded")
        if request.max_new_tokens < 1:
            raise InvalidRequest("max_new_tokens must be at least 1")
        if "" in request.stop:
            raise InvalidRequest("a stop string must not be empty")
        tokens = self._prompts.encode(request.prompt, chat=request.chat)
        if not tokens:
            raise InvalidRequest("the prompt is empty")
        if len(tokens) + request.max_new_tokens > self._max_model_len:
            raise PromptTooLong(
                f"the prompt has {len(tokens)} tokens; with max_new_tokens {request.max_new_tokens} that is more than "
                f"the {self._max_model_len} tokens that this model serves"
            )
        return tokens

    def _live(self) -> None:
        """The thread."""
        try:
            self._prepare()
            while not self._line.ended:
                self._beat = time.monotonic()
                job = self._line.next(_IDLE)
                if job is not None:
                    started = time.monotonic()
                    self._serve(job)
                    self._line.done(started)
        except LoadError as error:
            self._end(error)
        except (MemoryError, torch.OutOfMemoryError):  # while loading: a request's own is caught in _serve
            logger.exception("the engine ended")
            self._end(
                LoadError(
                    "OutOfMemory",
                    "The model does not fit into the device's memory: choose a larger spec.profile, or "
                    "spec.quantization.method nf4.",
                )
            )
        except Exception as error:
            logger.exception("the engine ended")
            self._end(EngineFailed(f"{type(error).__name__}: {error}"))

    def _end(self, why: EngineError) -> None:
        self._failure = why
        self._line.end(EngineFailed(str(why)))

    def _prepare(self) -> None:
        start = time.monotonic()
        weights = self._weights = load(self._sources)
        longest = getattr(weights.model.config, "max_position_embeddings", self._max_model_len)
        if self._max_model_len > longest:
            raise LoadError(
                "InvalidSettings",
                f"spec.serving.maxModelLen is {self._max_model_len}, but the base model ends at {longest} tokens.",
            )
        prompts = self._prompts = Prompts(weights.tokenizer)
        delta = max_abs_logit_delta(weights.model, [prompts.encode(text, chat=False) for text in _PROBE])
        if math.isnan(delta):
            raise LoadError("ProbeFailed", "The logits are not numbers; try another spec.quantization.computeDtype.")
        if delta == 0:
            raise LoadError(
                "AdapterIneffective",
                f"Checkpoint {self._sources.checkpoint_uri}: the adapter changes no logit of the base model; "
                "check that training saved trained weights.",
            )
        logger.info("the adapter moves next-token logits by up to %.3g", delta)
        probe = self._probe(prompts)
        # Only now: however early the model would end its turn, the probe has its full length.
        self._closing = closing_tokens(weights.tokenizer, weights.model.generation_config)
        found = weights.adapter
        self._loaded = Loaded(
            checkpoint=Checkpoint(found.digest, found.base_model, found.rank, found.alpha, found.target_modules),
            quantization=weights.quantization,
            effect=AdapterEffect(delta),
            probe=probe,
            device=str(weights.device),
            load_seconds=time.monotonic() - start,
        )
        logger.info("ready after %.1f s", time.monotonic() - start)

    def _probe(self, prompts: Prompts) -> Probe:
        start = time.monotonic()
        request = Request(_PROBE[0], _PROBE_TOKENS)
        tokens = 0

        def count(chunk: Chunk) -> bool:
            nonlocal tokens
            tokens += 1
            return True

        try:
            self._answer(request, prompts.encode(request.prompt, chat=True), count)
        except ValueError as error:
            raise LoadError("ProbeFailed", f"The first generation through the adapter failed: {error}.") from error
        return Probe(tokens, round((time.monotonic() - start) * 1000))

    def _serve(self, job: Job) -> None:
        def tell(chunk: Chunk) -> bool:
            job.tell(chunk)
            self._beat = time.monotonic()
            return not job.cancelled.is_set() and time.monotonic() < job.deadline

        if job.cancelled.is_set():
            return
        try:
            self._answer(job.request, job.prompt, tell)
        except ValueError as error:
            logger.warning("a request of %d tokens failed: %s", len(job.prompt), error)
            job.tell(EngineFailed(str(error)))
        except (MemoryError, torch.OutOfMemoryError):
            logger.warning("a request of %d tokens did not fit into memory", len(job.prompt))
            job.tell(InvalidRequest("the request does not fit into the device's memory; shorten it"))
            if torch.cuda.is_available():
                torch.cuda.empty_cache()

    @torch.inference_mode()
    def _answer(self, request: Request, prompt: Any, tell: Callable[[Chunk], bool]) -> None:
        """Generate until the end, or until `tell` says that nobody listens. Raises ValueError for NaN logits."""
        assert self._weights is not None  # noqa: S101 - set before the first request
        model, device = self._weights.model, self._weights.device
        text = TextStream(self._weights.tokenizer, request.stop)
        chooser = Chooser(request.sampling, device)
        ids, cache = torch.tensor([list(prompt)], device=device), None
        with nullcontext() if request.use_adapter else model.disable_adapter():
            for number in range(1, request.max_new_tokens + 1):
                output = model(input_ids=ids, past_key_values=cache, use_cache=True, logits_to_keep=1)
                cache = output.past_key_values
                token, logprob = chooser.next(output.logits[0, -1].float())
                closing = token in self._closing
                shown = "" if closing else text.add(token)
                finish: FinishReason | None = "length" if number == request.max_new_tokens else None
                if closing or text.stopped:
                    finish = "stop"
                if finish and not text.stopped:
                    shown += text.end()
                if not tell(Chunk(shown, token, logprob, len(prompt), closing, finish)) or finish:
                    return
                ids = torch.tensor([[token]], device=device)
