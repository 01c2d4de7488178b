"""What the kernels for GPUs compute, one row after another with torch's plain operations."""

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import torch
from torch.nn.functional import scaled_dot_product_attention

from forge_inference.engine.graphs import Graphs, Replay
from forge_inference.engine.kernels import Kernels, Pages, Rotation
from forge_inference.engine.runner import Batches
from forge_inference.engine.serving import Serving
from forge_inference.engine.table import BLOCKS, POSITION, SLOT


class ByHand:
    """Implements Kernels and Arithmetic. `stride`: pages from one block of the cache to the next, two of each layer."""

    def __init__(self, stride: int = 4) -> None:
        self._stride = stride
        self.attended = self.adapted = self.rotated = self.multiplied = 0

    def attend(
        self,
        table: torch.Tensor,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        pages: Pages,
        scale: float,
        rotation: Rotation | None,
    ) -> torch.Tensor:
        self.attended += 1
        if rotation:
            self.rotated += 1
            cosines, sines = (part[:, None] for part in rotation)
            query, key = (each * cosines + _half_turned(each) * sines for each in (query, key))
        mixed = torch.zeros_like(query)
        size = pages[0].shape[1]
        for row, told in enumerate(table.tolist()):
            if (position := told[POSITION]) < 0:
                continue
            used = [block * self._stride for block in told[BLOCKS : BLOCKS + position // size + 1]]
            for part, new in zip(pages, (key, value), strict=True):
                part[used[-1], position % size] = new[row]
            k, v = (part[used].flatten(0, 1)[: position + 1].transpose(0, 1) for part in pages)
            q = query[row][:, None]
            mixed[row] = scaled_dot_product_attention(q[None], k[None], v[None], scale=scale, enable_gqa=True)[0, :, 0]
        return mixed

    def adapt(
        self,
        table: torch.Tensor,
        x: torch.Tensor,
        answer: torch.Tensor,
        a: torch.Tensor,
        b: torch.Tensor,
        scale: torch.Tensor,
    ) -> bool:
        self.adapted += 1
        answer += ((x @ a.T) * scale[table[:, SLOT]]) @ b.T
        return True

    def norm(self, x: torch.Tensor, weight: torch.Tensor, epsilon: float) -> torch.Tensor:
        return x / (x.square().mean(dim=-1, keepdim=True) + epsilon).sqrt() * weight

    def gate(self, x: torch.Tensor) -> torch.Tensor:
        first, second = x.chunk(2, dim=-1)
        return first * torch.sigmoid(first) * second

    def multiplies(self, x: torch.Tensor, weight: torch.Tensor, below: torch.Tensor | None = None) -> bool:
        return x.numel() <= 8 * x.shape[-1]

    def multiply(
        self,
        x: torch.Tensor,
        weight: torch.Tensor,
        *,
        norm: tuple[torch.Tensor, float] | None = None,
        gates: bool = False,
        residual: torch.Tensor | None = None,
        below: torch.Tensor | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        self.multiplied += 1
        x = self.norm(x, *norm) if norm else self.gate(x) if gates else x
        y, rows = x @ weight.T, x.flatten(0, -2)
        return y if residual is None else y + residual, rows[:, :0] if below is None else rows @ below.T

    def lift(
        self, table: torch.Tensor, low: torch.Tensor, scale: torch.Tensor, b: torch.Tensor, answer: torch.Tensor
    ) -> None:
        self.adapted += 1
        answer += (low * scale[table[:, SLOT]]) @ b.T


class Recorder:
    """Calls what was recorded again: as a GPU does, with the tensors of then and whatever is in them now."""

    def __init__(self) -> None:
        self.recorded = self.replayed = 0

    def __call__(self, forward: Callable[[], None]) -> Replay:
        self.recorded += 1

        def replay() -> None:
            self.replayed += 1
            forward()

        return replay


def batches_of(serving: Serving, recorder: Recorder | None, kernels: Kernels | None) -> Batches:
    """Of the same model; with a recorder its steps are replayed, as on a GPU."""
    slots = serving.weights.adapters.slots
    batches = Batches(serving.weights.model, slots, kernels, tokens=2048, longest=256, step=64, answers=6, page=32)
    runner, io = batches._processor.model_runner, batches._processor.inputs_and_outputs
    if recorder:
        io.use_cuda_graph_varlen = True  # the library's own switch for sizes that are seen again
        runner.graphs = Graphs(slots, 6, recorder)
        runner.wanted = torch.zeros(12, dtype=torch.int64)
    return batches


def _half_turned(x: torch.Tensor) -> torch.Tensor:
    first, second = x.chunk(2, dim=-1)
    return torch.cat([-second, first], dim=-1)


def varlen(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    scale: float,
    window: int | None,
    lengths: dict[str, Any],
) -> torch.Tensor:
    """As `attention` asks torch's kernel for it: lengths are read when it is computed, and rows that fill up are 0."""
    assert window is None
    mixed = torch.zeros_like(query)
    queries, keys = lengths["cu_seq_lens_q"].tolist(), lengths["cu_seq_lens_k"].tolist()
    for (begin, end), (first, last) in zip(pairwise(queries), pairwise(keys), strict=True):
        q, k, v = (part.transpose(0, 1) for part in (query[begin:end], key[first:last], value[first:last]))
        seen = torch.ones(end - begin, last - first, dtype=torch.bool).tril(last - first - (end - begin))
        alone = scaled_dot_product_attention(q[None], k[None], v[None], seen, scale=scale, enable_gqa=True)
        mixed[begin:end] = alone[0].transpose(0, 1)
    return mixed
