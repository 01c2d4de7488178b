"""The inputs of a step in which each answer has one token: a table with a row for each, sent to the device at once."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers.generation.continuous_batching.continuous_api import ContinuousBatchingIOs

from forge_inference.engine.adapters import BASE
from forge_inference.engine.kernels import Kernels, Pages, Rotation
from forge_inference.engine.spans import Spans

TOKEN, POSITION, SLOT, BLOCKS = range(4)  # the columns; blocks of the cache fill the rest
_AHEAD = 32  # steps for which blocks are taken at once, where there are some
_NOBODY = (0, -1, BASE)  # a row that only fills up: it reads and writes nothing


class Table:
    """`rows` on the device never move: a recording reads them at this place."""

    def __init__(self, answers: int, blocks: int, device: torch.device) -> None:
        """`blocks`: of one answer, at most."""
        shape = (answers, BLOCKS + blocks)
        self._sent = torch.zeros(shape, dtype=torch.int32, pin_memory=device.type == "cuda")
        self._numbers = self._sent.numpy()  # the same memory, a hundred times faster to write to
        self.rows = torch.zeros(shape, dtype=torch.int32, device=device)

    def fill(self, row: int, token: int, position: int, slot: int, blocks: Sequence[int]) -> None:
        """Seen by the device after `send`."""
        numbers = self._numbers[row]
        numbers[:BLOCKS] = token, position, slot
        numbers[BLOCKS : BLOCKS + len(blocks)] = blocks

    def send(self, filled: int, rows: int) -> None:
        """Those that were filled, and as many more as make it `rows`."""
        self._numbers[filled:rows, :BLOCKS] = _NOBODY
        self.rows[:rows].copy_(self._sent[:rows], non_blocking=True)

    def advance(self, found: torch.Tensor) -> None:
        """Each answer by the token that was found for its row, which only the device needs to know."""
        rows = self.rows[: len(found)]
        rows[:, TOKEN] = found[:, 0]
        # Rows that only fill up stay so.
        rows[:, POSITION] += rows[:, POSITION] >= 0


@dataclass(frozen=True)
class OneEach:
    """A step of one token for each answer, for the layers."""

    kernels: Kernels
    table: torch.Tensor
    cache: Any  # the library's

    def attend(
        self,
        layer: int,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        scale: float,
        rotation: Rotation | None = None,
    ) -> torch.Tensor:
        """As the kernels do, in the cache of this layer."""
        pages: Pages = self.cache.layer_to_allocator[layer].get_cache_for_block_table(layer)
        return self.kernels.attend(self.table, query, key, value, pages, scale, rotation)

    def adapt(
        self, x: torch.Tensor, answer: torch.Tensor, a: torch.Tensor, b: torch.Tensor, scale: torch.Tensor
    ) -> bool:
        """As the kernels do."""
        return self.kernels.adapt(self.table, x, answer, a, b, scale)


class Inputs(ContinuousBatchingIOs):
    """The library's, but for steps of one token each, for which it has a path of its own that needs flash-attn.

    There it makes some ten tensors in each step, one of them for each answer: longer than an H100 computes.
    """

    kernels: Kernels
    table: Table
    chosen: Sequence[int] = ()  # the tokens of the last step, known here already
    lasts = 0  # for so many steps more the blocks suffice that the device was told of

    def use(self, kernels: Kernels, table: Table) -> None:
        """From the next step on; without, the library never asks for a step of one token each."""
        self.kernels, self.table = kernels, table

    def prepare_batch_tensors(
        self,
        requests_in_batch: list[Any],
        logits_processors: Any,
        use_decode_fast_path: bool,
        num_q_tokens: int,
        max_kv_read: int,
        use_padding: bool,
    ) -> None:
        """Called before each step; `num_q_tokens` counts the rows that only fill up as well."""
        if not use_decode_fast_path:
            super().prepare_batch_tensors(
                requests_in_batch, logits_processors, use_decode_fast_path, num_q_tokens, max_kv_read, use_padding
            )
            return
        self.use_block_table = True
        self.requests_in_batch = requests_in_batch
        self.num_request_in_batch = len(requests_in_batch)
        self.num_q_tokens, self.max_kv_read = num_q_tokens, 0
        for each in requests_in_batch:
            each.state.position_offset += 1

    def send(self) -> None:
        """A table, to where the device reads it; in the order of what the device does."""
        if not self.use_block_table:
            return
        (allocator,) = self.cache.cache_allocators.values()
        lasting = []
        for row, each in enumerate(self.requests_in_batch):
            state, position = each.state, each.state.position_offset - 1
            self.cache.can_store_request_tokens(state, min(_AHEAD, state.answer.left))  # takes the blocks, if there are
            blocks = allocator.block_table[state.request_id]
            self.table.fill(row, state.tokens_to_process[0], position, state.answer.slot, blocks)
            lasting.append(len(blocks) * allocator.tokens_per_page - position - 1)
        self.lasts = min(lasting)
        self.table.send(len(self.requests_in_batch), self.num_q_tokens)

    def advance(self, found: torch.Tensor) -> None:
        """The table on the device becomes that of the next step."""
        self.table.advance(found)
        self.lasts -= 1

    def get_model_kwargs(self, use_padding: bool = False) -> Any:
        """Called before each step as well: what the model is called with."""
        if not self.use_block_table:
            found = super().get_model_kwargs(use_padding)
            # Else torch's own kernel, for GPUs and 16 bits, reads where the sequences are.
            if self.device.type == "cpu" or self.model_dtype == torch.float32:
                found["spans"] = Spans(self.cache, found, self.model_dtype)
            return found
        rows = self.table.rows[: self.num_q_tokens]
        return {
            "input_ids": rows[:, TOKEN][None],
            "position_ids": rows[:, POSITION][None],
            "attention_mask": None,
            "use_cache": False,
            "cache": self.cache,
            "one_each": OneEach(self.kernels, rows, self.cache),
        }

    def retrieve_device_outputs(self) -> None:
        """Called after each step, to wait for the device. Who chose the tokens has waited for this step alone."""

    def prepare_batch_update(self) -> tuple[list[Any], Sequence[int], None]:
        """Called after each step: whose tokens were chosen, and which."""
        return self.requests_in_batch, self.chosen, None
