"""What a step of one token for each answer is computed with on a GPU: own kernels, compiled when a model loads.

Attention reads the cache where it lies instead of gathering it first, and what else is small is done in few kernels.
docs/decisions/2026-11-27-attention-in-place.md says why.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch.nn.functional import rms_norm, silu
from transformers.generation.continuous_batching.cache import group_layers_by_attn_type

from forge_inference.engine.nvrtc import Module, Size, Unavailable, compiled

logger = logging.getLogger(__name__)

SOURCE = Path(__file__).with_suffix(".cu")
_THREADS = 128  # of a block, as in the source
_MANY_THREADS = 512  # of a block that has little to do in many places
_NUMBERS = {torch.float32: 0, torch.bfloat16: 1, torch.float16: 2}
_MOST_PARTS = 16  # into which one answer's tokens are split
_MOST_ROWS = 64  # blocks that share the rows of the adapters' matrices, for each token
_SHARED = 48 * 1024  # bytes; a kernel gets more only when it asks

Pages = tuple[torch.Tensor, torch.Tensor]  # keys and values of a layer: (pages, tokens, heads, width)
Rotation = tuple[torch.Tensor, torch.Tensor]  # cosines and sines, (tokens, width)


@dataclass(frozen=True)
class Shape:
    """What the kernels are compiled for. `stride`: pages from one of the cache's blocks to the next."""

    heads: int
    kv_heads: int
    width: int
    page: int
    stride: int
    row: int  # numbers in a row of the table
    dtype: torch.dtype

    @property
    def vector(self) -> int:
        """Numbers that a thread reads at once."""
        return 16 // self.dtype.itemsize

    @property
    def group(self) -> int:
        """Heads of queries that one block computes: more would need more registers than there are."""
        shared = self.heads // self.kv_heads
        return max(size for size in range(1, 9) if shared % size == 0)

    def options(self) -> list[str]:
        """For the compiler. Raises Unavailable."""
        lanes = self.width // self.vector
        if self.dtype not in _NUMBERS or self.width % self.vector or lanes not in (2, 4, 8, 16, 32):
            raise Unavailable(f"no kernel is written for heads of {self.width} numbers of {self.dtype}")
        values = {
            "NUMBER": _NUMBERS[self.dtype],
            "WIDTH": self.width,
            "HEADS": self.heads,
            "KV_HEADS": self.kv_heads,
            "GROUP": self.group,
            "PAGE": self.page,
            "STRIDE": self.stride,
            "ROW": self.row,
        }
        return [f"-D{name}={value}" for name, value in values.items()]


class Kernels(Protocol):
    """Steps of one token for each answer: one row of the table (table.py) for each, and one of all other tensors."""

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
        """Put keys and values into the cache and mix its values; all are of the shape (tokens, heads, width).

        With `rotation` queries and keys are rotated first; `query` may be overwritten.
        """

    def adapt(
        self,
        table: torch.Tensor,
        x: torch.Tensor,
        answer: torch.Tensor,
        a: torch.Tensor,
        b: torch.Tensor,
        scale: torch.Tensor,
    ) -> bool:
        """Add what the adapters add to a layer's answer, in place; False: not done, these shapes are not for it."""


class Launch(Protocol):
    """A compiled kernel: sizes of grid and block, its arguments, bytes of shared memory."""

    def __call__(
        self, grid: Size, block: int, /, *arguments: torch.Tensor | int | float | None, shared: int = 0
    ) -> None: ...


class CudaKernels:
    """Implements Kernels."""

    def __init__(self, shape: Shape, kernel: Callable[[str], Launch], processors: int) -> None:
        """`kernel`: by its name; `processors` that compute blocks at once. Raises Unavailable."""
        self._shape = shape
        self._place, self._attend, self._join = kernel("place"), kernel("attend"), kernel("join")
        self._lower, self._lift = kernel("lower"), kernel("lift")
        self._norm, self._gate = kernel("normalise"), kernel("gate")
        self._busy = 4 * processors  # blocks that keep them busy

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
        shape, tokens = self._shape, len(table)
        query, key, value = _in_rows(query), _in_rows(key), _in_rows(value)
        if key.stride() != value.stride():
            key, value = key.contiguous(), value.contiguous()
        pitch, kv_pitch = query.stride(0), key.stride(0)
        mixed = query.new_empty(query.shape)
        grid = (shape.heads + 2 * shape.kv_heads, tokens, 1)
        turn = rotation or (None, None)
        told = (pitch, kv_pitch, int(rotation is not None))
        self._place(grid, shape.width // 2, table, query, key, value, *turn, *pages, *told)
        blocks = shape.heads // shape.group
        splits = min(_MOST_PARTS, max(1, self._busy // (blocks * tokens)))
        size = tokens * shape.heads * splits * (shape.width + 2) if splits > 1 else 0
        parts = torch.empty(size, dtype=torch.float32, device=query.device)
        grid = (splits, blocks, tokens)
        self._attend(grid, _THREADS, table, query, *pages, mixed, parts, pitch, splits, float(scale))
        if splits > 1:
            self._join((tokens * shape.heads, 1, 1), max(shape.width, 32), parts, mixed, splits)
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
        (rank, into), out, tokens = a.shape, len(b), len(table)
        if not self._fits(x, a) or x.numel() != tokens * into or answer.stride(-1) != 1 or 4 * rank > _SHARED:
            return False
        low = torch.empty((tokens, rank), dtype=torch.float32, device=x.device)
        self._lower((min(rank, _MOST_ROWS), tokens, 1), _MANY_THREADS, table, x, a, scale, low, into, rank)
        grid = (-(-out // _THREADS), tokens, 1)
        self._lift(grid, _THREADS, low, b, answer, answer.stride(-2), out, rank, shared=4 * rank)
        return True

    def norm(self, x: torch.Tensor, weight: torch.Tensor, epsilon: float) -> torch.Tensor:
        """Each row over the root of its mean square, times `weight`."""
        if not self._fits(x, weight):
            return rms_norm(x, weight.shape, weight, epsilon)
        y = torch.empty_like(x)
        self._norm((x.numel() // len(weight), 1, 1), _MANY_THREADS, x, weight, y, len(weight), float(epsilon))
        return y

    def gate(self, x: torch.Tensor) -> torch.Tensor:
        """SiLU of the first half of each row, times the second."""
        width = x.shape[-1] // 2
        if not self._fits(x, x) or width % self._shape.vector:
            return silu(x[..., :width]) * x[..., width:]
        y = x.new_empty((*x.shape[:-1], width))
        rows = x.numel() // x.shape[-1]
        self._gate((-(-width // (_THREADS * self._shape.vector)), rows, 1), _THREADS, x, y, width)
        return y

    def _fits(self, x: torch.Tensor, other: torch.Tensor) -> bool:
        """Whether rows of both are where a thread can read several numbers at once."""
        whole = x.is_contiguous() and other.is_contiguous() and x.shape[-1] % self._shape.vector == 0
        return whole and x.dtype == other.dtype == self._shape.dtype


def _in_rows(x: torch.Tensor) -> torch.Tensor:
    """(tokens, heads, width), of which each token's numbers follow each other."""
    return x if x.stride()[1:] == (x.shape[2], 1) else x.contiguous()


def shape_of(config: Any, dtype: torch.dtype, page: int, row: int) -> Shape:
    """Of a model's text part. Raises Unavailable."""
    if set(group_layers_by_attn_type(config)) != {"full_attention"}:
        raise Unavailable("some layers see a window of the last tokens, and their cache is another")
    heads = config.num_attention_heads
    return Shape(
        heads=heads,
        kv_heads=getattr(config, "num_key_value_heads", None) or heads,
        width=getattr(config, "head_dim", None) or config.hidden_size // heads,
        page=page,
        stride=2 * config.num_hidden_layers,
        row=row,
        dtype=dtype,
    )


def load(model: Any, page: int, row: int) -> CudaKernels | None:
    """For this model of transformers and a cache of `page` tokens a page; None when there are none (the log says why).

    `row`: numbers in a row of the table.
    """
    if model.device.type != "cuda":
        return None
    gpu = torch.cuda.get_device_properties(model.device)
    try:
        shape = shape_of(model.config.get_text_config(), model.dtype, page, row)
        module = Module(compiled(SOURCE.read_text(), shape.options(), f"sm_{gpu.major}{gpu.minor}"))
        return CudaKernels(shape, module.kernel, gpu.multi_processor_count)
    except Unavailable as error:
        logger.warning("attention gathers keys and values for each step: %s", error)
        return None
