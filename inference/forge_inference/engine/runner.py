"""The seams into transformers' continuous batching, which are private: pyproject.toml pins the version.

Its own runner samples a whole batch in one way and reports log-probabilities of filtered logits; ours lets each
answer choose in its own way and keeps the raw ones. tests/inference/engine/test_seams.py tests each seam alone.
"""

import time
from collections.abc import Callable
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
from forge_inference.engine.ahead import Begun
from forge_inference.engine.answer import Answer
from forge_inference.engine.contract import Steps
from forge_inference.engine.errors import EngineError, EngineFailed
from forge_inference.engine.graphs import Forward, Graphs, OnCuda
from forge_inference.engine.kernels import Kernels
from forge_inference.engine.sampling import Choice, choose, likeliest
from forge_inference.engine.table import SLOT, Inputs, OneEach, Table


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
    scheduler: fairness.Fair
    graphs: Graphs | None = None
    ahead: Begun | None = None  # the step that comes next, where it is under way already
    wanted: torch.Tensor  # adapters' slots of the tokens of a recorded step that is no table
    meanwhile: Callable[[], None]  # to be done while a GPU computes

    def maybe_pad_inputs(self, num_q_tokens: int, max_kv_read: int, use_decode_fast_path: bool) -> tuple[int, int]:
        """Called before each step with its tokens and what it reads: one that is recorded is filled up to a size."""
        sizes = None
        if self.graphs and use_decode_fast_path:
            sizes = self.graphs.rows(num_q_tokens), 0
        elif self.graphs and not self.cache.max_blocks_per_request:  # else these are few, and rarely alike
            sizes = self.graphs.sizes(num_q_tokens, max_kv_read, self.cache.max_tokens_read)
        self.pad_inputs = sizes is not None
        return sizes or (num_q_tokens, max_kv_read)

    def compute_batch(self, model: Any, batch_data: dict[str, Any]) -> None:
        """Called for each step: logits, then each answer's own choice."""
        io = self.inputs_and_outputs
        with stream_context(stream := io.compute_stream):
            if stream is not None:  # the inputs were written on another
                stream.wait_stream(torch.cuda.default_stream(stream.device))
            if not self.pad_inputs:  # asking for one kernel after another takes longer than a step that is replayed
                self.meanwhile()
            names = [each.state.request_id for each in io.requests_in_batch]
            step, self.ahead = self.ahead, None
            if step is None or not (io.use_block_table and step.holds(names, self.slots.version)):
                io.send()
                step = self._begun(model, batch_data, names)
            if self._may_go_on(step, names):
                io.advance(step.found)
                self.ahead = self._begun(model, batch_data, names)
            self.scheduler.under_way = self.ahead.rows if self.ahead else {}
            self.meanwhile()
            self._choose(step, names)

    def _begun(self, model: Any, batch_data: dict[str, Any], names: list[str]) -> Begun:
        logits, found = self._computed(model, batch_data)
        return Begun(logits, found, names, self.slots.version)

    def _may_go_on(self, step: Begun, names: list[str]) -> bool:
        """Whether the next step is this one's with a token more of each, which nobody here has to know or waits for."""
        io, scheduler = self.inputs_and_outputs, self.scheduler
        if not (self.graphs and io.use_block_table and io.lasts and names == list(step.rows)):
            return False
        if scheduler.waiting_requests or len(names) < len(scheduler.active_requests):
            return False
        answers = [each.state.answer for each in io.requests_in_batch if each.has_new_token]
        plain = all(answer.chooser.is_plain for answer in answers) and len(answers) == len(names)
        return plain and any(answer.left > 1 for answer in answers)

    def _computed(self, model: Any, batch_data: dict[str, Any]) -> tuple[torch.Tensor, ...]:
        """Logits of each answer, and the likeliest token."""
        forward = self._table(model, batch_data) if "one_each" in batch_data else self._packed(model, batch_data)
        if self.pad_inputs and self.graphs:
            return self.graphs.run(self.inputs_and_outputs._get_graph_key(), forward)  # noqa: SLF001
        return forward()

    def _table(self, model: Any, batch_data: dict[str, Any]) -> Forward:
        step: OneEach = batch_data["one_each"]

        def forward() -> tuple[torch.Tensor, ...]:
            with self.slots.chosen(step.table[:, SLOT], adapt=step.adapt):
                logits: torch.Tensor = model(**batch_data).logits[0]
            return logits, likeliest(logits)

        return forward

    def _packed(self, model: Any, batch_data: dict[str, Any]) -> Forward:
        io = self.inputs_and_outputs
        if self.supports_logits_to_keep(model):
            batch_data["logits_to_keep"] = batch_data["logits_indices"]
        slots = [each.state.answer.slot for each in io.requests_in_batch for _ in range(each.query_length)]
        wanted = None
        if self.pad_inputs:
            wanted = self.wanted[: io.num_q_tokens]
            wanted.copy_(torch.tensor([*slots, *[BASE] * (len(wanted) - len(slots))]))
        elif any(slot != BASE for slot in slots):
            wanted = torch.tensor(slots, device=io.device)

        def forward() -> tuple[torch.Tensor, ...]:
            at: torch.Tensor = batch_data["logits_indices"]
            with self.slots.chosen(wanted, None if wanted is None else wanted[at]):
                logits: torch.Tensor = model(**batch_data).logits[0]
            logits = logits if "logits_to_keep" in batch_data else logits[at]
            return logits, likeliest(logits)

        return forward

    def _choose(self, step: Begun, names: list[str]) -> None:
        io = self.inputs_and_outputs
        news = [row for row, each in enumerate(io.requests_in_batch) if each.has_new_token]
        # Other than in a table, there are no rows of those who have no new token.
        rows = [step.rows[names[row]] for row in news] if io.use_block_table else list(range(len(news)))
        answering = [io.requests_in_batch[row].state for row in news]
        choices = choose(step.logits, step.told(), rows, [state.answer.chooser for state in answering])
        for state, choice in zip(answering, choices, strict=True):
            state.choice = choice
        io.chosen = [choice.token for choice in choices]


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

    def __init__(
        self,
        model: Any,
        slots: Slots,
        kernels: Kernels | None = None,
        *,
        tokens: int,
        longest: int,
        step: int,
        answers: int,
        page: int,
    ) -> None:
        """`tokens`: what the cache holds; `longest`: of one answer; `step`: the most in one; `answers`: at once.

        `page`: tokens of one block of the cache, for which the kernels were compiled.
        """
        self._model = model
        on_gpu = model.device.type == "cuda"
        # In float32 attention that gathers is computed one sequence after another; a recording cannot know the lengths.
        recorded = on_gpu and (kernels is not None or model.dtype != torch.float32)
        config = ContinuousBatchingConfig(
            page_size=page,
            num_blocks=-(-tokens // page),
            max_batch_tokens=step,
            max_requests_per_batch=answers,
            max_blocks_per_request=0,  # the library's own path of steps of one token each needs flash-attn; see below
            allow_block_sharing=False,  # blocks are known by their tokens, whatever the adapter
            use_async_batching=False,
            use_cuda_graph=(recorded, False),
            scheduler_type=fairness.NAME,
            auto_switch_to_flash=False,
        )
        greedy = GenerationConfig(do_sample=False, eos_token_id=-1, pad_token_id=0)
        continuous_api.ModelRunner, continuous_api.ContinuousBatchingIOs = _Runner, Inputs
        manager = ContinuousBatchingManager(model, greedy, config)
        manager.output_router = _Deaf()
        blocks = -(-longest // page)
        if kernels:
            manager.continuous_batching_config.max_blocks_per_request = blocks
        self._processor: ContinuousBatchProcessor = manager._create_batch_processor()  # noqa: SLF001
        if kernels:
            self._processor.inputs_and_outputs.use(kernels, Table(answers, blocks, model.device))
        runner = self._processor.model_runner
        runner.slots, runner.meanwhile, runner.scheduler = slots, self._tell, self._processor.scheduler
        if recorded:
            runner.graphs = Graphs(slots, answers, OnCuda())
            runner.wanted = torch.zeros(2 * answers, dtype=torch.int64, device=model.device)
        self.how: Steps = "table" if kernels else "recorded" if recorded else "packed"
        self._late = on_gpu  # whether answers are told while the next step is computed
        self._untold: list[Answer] = []
        self._queue = manager.input_queue
        self._scheduler: fairness.Fair = self._processor.scheduler
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
        processor, start = self._processor, time.perf_counter()
        if not processor.prepare_next_batch():
            self._tell()
            return 0
        processor._generation_step(self._model)  # noqa: SLF001
        processor.update_batch()
        self._scheduler.took(time.perf_counter() - start)
        requests = processor.inputs_and_outputs.requests_in_batch
        self._untold = [each.state.answer for each in requests if each.has_new_token]
        if not self._late:
            self._tell()
        return len(requests)

    def _tell(self) -> None:
        untold, self._untold = self._untold, []
        for answer in untold:
            answer.tell()

    def reset(self, why: Exception) -> None:
        """After an error: every answer is told, and the cache is empty."""
        self._processor.model_runner.ahead = None
        self._processor.fail_all_requests(why)
        self._processor.reset()

    def used(self) -> float:
        """The part of the cache that holds something, 0 to 1."""
        return 1 - float(self._processor.cache.compute_free_capacity())
