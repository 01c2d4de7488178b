"""The seams into transformers' continuous batching, which are private: pyproject.toml pins the version.

Its own runner samples a whole batch in one way and reports log-probabilities of filtered logits; ours lets each
answer choose in its own way and keeps the raw ones. tests/inference/engine/test_seams.py tests each seam alone.
"""

from typing import Any

import torch
from transformers import ContinuousBatchingConfig, GenerationConfig
from transformers.generation.continuous_batching import continuous_api
from transformers.generation.continuous_batching.continuous_api import (
    ContinuousBatchingManager,
    ContinuousBatchProcessor,
    OutputRouter,
)
from transformers.generation.continuous_batching.model_runner import ModelRunner
from transformers.generation.continuous_batching.requests import RequestState, RequestStatus
from transformers.generation.continuous_batching.utils import stream_context

from forge_inference.engine import fairness
from forge_inference.engine.adapters import BASE, Slots
from forge_inference.engine.answer import Answer
from forge_inference.engine.errors import EngineError, EngineFailed
from forge_inference.engine.graphs import Graphs, OnCuda
from forge_inference.engine.sampling import Choice, choose


class Sequence(RequestState):
    """One answer as the library schedules it. The library counts tokens and blocks; the answer decides when to end."""

    answer: Answer
    choice: Choice

    @classmethod
    def of(cls, answer: Answer, name: str, tokens: list[int]) -> "Sequence":
        """Of prompt and what was generated already."""
        made = cls(request_id=name, initial_tokens=tokens, max_new_tokens=None)
        made.answer = answer
        return made

    def update_and_check_completion(self, token_id: int, logprob: float | None) -> bool:
        """Called after each step that made a token."""
        self.generated_tokens.append(token_id)
        self.tokens_to_process = [token_id]
        if ended := self.answer.take(self.choice):
            self.status = RequestStatus.FINISHED
        return ended

    def create_equivalent_initial_request(self) -> "Sequence":
        """Called when the cache is full and this one must start again later, with its tokens as prompt."""
        return Sequence.of(self.answer, self.request_id, [*self.initial_tokens, *self.generated_tokens])

    def to_generation_output(self) -> Any:
        """Called for who would wait at the library's queue; our answers went their own way."""


class _Runner(ModelRunner):
    slots: Slots
    graphs: Graphs | None = None

    def maybe_pad_inputs(self, num_q_tokens: int, max_kv_read: int, use_decode_fast_path: bool) -> tuple[int, int]:
        """Called before each step with its tokens and what it reads: one that is recorded is filled up to a size."""
        sizes = self.graphs.sizes(num_q_tokens, max_kv_read, self.cache.max_tokens_read) if self.graphs else None
        self.pad_inputs = sizes is not None
        return sizes or (num_q_tokens, max_kv_read)

    def compute_batch(self, model: Any, batch_data: dict[str, Any]) -> None:
        """Called for each step: logits, then each answer's own choice."""
        if self.supports_logits_to_keep(model):
            batch_data["logits_to_keep"] = batch_data["logits_indices"]
        io = self.inputs_and_outputs
        with stream_context(stream := io.compute_stream):
            if stream is not None:  # the inputs were written on another
                stream.wait_stream(torch.cuda.default_stream(stream.device))
            self._choose(self._logits(model, batch_data))

    def _logits(self, model: Any, batch_data: dict[str, Any]) -> torch.Tensor:
        io = self.inputs_and_outputs
        slots = [each.state.answer.slot for each in io.requests_in_batch for _ in range(each.query_length)]

        def forward(wanted: torch.Tensor | None) -> torch.Tensor:
            at: torch.Tensor = batch_data["logits_indices"]
            with self.slots.chosen(wanted, None if wanted is None else wanted[at]):
                logits: torch.Tensor = model(**batch_data).logits[0]
            return logits if "logits_to_keep" in batch_data else logits[at]

        if self.pad_inputs and self.graphs:
            return self.graphs.logits(io._get_graph_key(), slots, forward)  # noqa: SLF001
        return forward(torch.tensor(slots, device=io.device) if any(slot != BASE for slot in slots) else None)

    def _choose(self, logits: torch.Tensor) -> None:
        io = self.inputs_and_outputs
        answering = [each.state for each in io.requests_in_batch if each.has_new_token]
        if not answering:
            return
        choices = choose(logits[: len(answering)].float(), [state.answer.chooser for state in answering])
        for state, choice in zip(answering, choices, strict=True):
            state.choice = choice
        io.output_ids[0, : len(choices)] = torch.tensor([choice.token for choice in choices], dtype=torch.int32)


class _Deaf(OutputRouter):
    """Answers are told as they are made; only what the library gives up on comes this way."""

    def deliver(self, output: Any) -> None: ...

    def deliver_batch(self, outputs: Any) -> None: ...

    def fail_and_deliver(self, state: RequestState, error: Exception) -> None:
        if isinstance(state, Sequence):
            why = error if isinstance(error, EngineError) else EngineFailed(f"{type(error).__name__}: {error}")
            state.answer.fail(why)


class Batches:
    """Steps of a batch that answers enter and leave between any two. For one thread."""

    def __init__(self, model: Any, slots: Slots, *, tokens: int, step: int, answers: int, page: int) -> None:
        """`tokens`: what the cache holds; `step`: the most in one step; `answers`: at once; `page`: of one block."""
        self._model = model
        # In float32 attention is computed one sequence after another, whose lengths a recording cannot know.
        recorded = model.device.type == "cuda" and model.dtype != torch.float32
        config = ContinuousBatchingConfig(
            page_size=page,
            num_blocks=-(-tokens // page),
            max_batch_tokens=step,
            max_requests_per_batch=answers,
            max_blocks_per_request=0,  # the fast path of decoding needs flash-attn
            allow_block_sharing=False,  # blocks are known by their tokens, whatever the adapter
            use_async_batching=False,
            use_cuda_graph=(recorded, False),
            scheduler_type=fairness.NAME,
            auto_switch_to_flash=False,
        )
        greedy = GenerationConfig(do_sample=False, eos_token_id=-1, pad_token_id=0)
        continuous_api.ModelRunner = _Runner
        manager = ContinuousBatchingManager(model, greedy, config)
        manager.output_router = _Deaf()
        self._processor: ContinuousBatchProcessor = manager._create_batch_processor()  # noqa: SLF001
        self._processor.model_runner.slots = slots
        if recorded:
            self._processor.model_runner.graphs = Graphs(slots, answers, model.device, OnCuda())
        self._queue = manager.input_queue
        self._scheduler = self._processor.scheduler
        self._count = 0

    def add(self, answer: Answer) -> None:
        """It takes part from the next step on that has room."""
        self._count += 1
        answer.name = f"{self._count}"
        self._scheduler.add_waiting_request(Sequence.of(answer, answer.name, list(answer.prompt)))

    def drop(self, answer: Answer) -> None:
        """Free its blocks before the next step."""
        self._scheduler.set_request_cancellation(answer.name)

    @torch.inference_mode()
    def step(self) -> int:
        """Prefill or continue as many answers as fit; how many did. Any error means that all of them are lost."""
        processor = self._processor
        if not processor.prepare_next_batch():
            return 0
        processor._generation_step(self._model)  # noqa: SLF001
        processor.update_batch()
        return len(processor.inputs_and_outputs.requests_in_batch)

    def reset(self, why: Exception) -> None:
        """After an error: every answer is told, and the cache is empty."""
        self._processor.fail_all_requests(why)
        self._processor.reset()

    def used(self) -> float:
        """The part of the cache that holds something, 0 to 1."""
        return 1 - float(self._processor.cache.compute_free_capacity())
