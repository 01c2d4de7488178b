"""What a step of one token for each answer is computed with on a GPU: own kernels, compiled when a model loads.

Attention reads the cache where it lies instead of gathering it first, and what else is small is done in few kernels.
docs/decisions/2026-11-27-attention-in-place.md says why.
"""

import logging
from collections.abc import Callable
from typing import Any, Protocol

import torch
from torch.nn.functional import rms_norm, silu

from forge_inference.engine.nvrtc import Module, Size, Unavailable, compiled
from forge_inference.engine.shapes import SOURCE, Shape, near, shape_of

logger = logging.getLogger(__name__)

_THREADS = 128  # of a block, as in the source
_MANY_THREADS = 512  # of a block that has little to do in many places, or much; as in the source
_MOST_PARTS = 16  # into which one answer's tokens are split
_MOST_ROWS = 64  # blocks that share the rows of the adapters' matrices, for each token
_SHARED = 48 * 1024  # bytes; a kernel gets more only when it asks
_COMING = 4 * 2048 * _MANY_THREADS // 32  # bytes that are on their way to a block of `multiply`: 4 pieces a warp
_FEW = 8  # tokens that it takes
_PIECE = 32  # numbers: a row's length is a multiple, and rows are so much further apart in shared memory
_MOST_BELOW = 128  # rows of adapters' matrices that are multiplied beside a layer's, wanted or not

Pages = tuple[torch.Tensor, torch.Tensor]  # keys and values of a layer: (pages, tokens, heads, width)
Rotation = tuple[torch.Tensor, torch.Tensor]  # cosines and sines, (tokens, width)


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

        With `rotation` queries and keys are rotated first.
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
    """Implements Kernels, and the Arithmetic of fewer.py."""

    def __init__(self, shape: Shape, kernel: Callable[..., Launch], processors: int, near: int) -> None:
        """`kernel`: by its name; `processors` that compute blocks at once; `near`: bytes that a block of `multiply` may
        share, 0 if there is none.

        Raises Unavailable.
        """
        self._shape, self._processors, self._near = shape, processors, near
        self._attend = kernel("attend")
        self._ended = torch.empty(0)  # made where the first step is
        self._lower, self._lift = kernel("lower"), kernel("lift", _SHARED)
        self._norm, self._gate = kernel("normalise"), kernel("gate")
        self._multiply = kernel("multiply", near) if near and shape.dtype != torch.float32 else None
        self._busy = 4 * processors  # small blocks that keep them busy

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
        mixed, turn = query.new_empty(query.shape), rotation or (None, None)
        blocks = shape.heads // shape.group
        splits = min(_MOST_PARTS, max(1, self._busy // (blocks * tokens)))
        parts = tokens * shape.heads * splits if splits > 1 else 0
        sums, scales = (query.new_empty(parts * each, dtype=torch.float32) for each in (shape.width, 2))
        if not len(self._ended):
            self._ended = torch.zeros(self._busy, dtype=torch.int32, device=query.device)
        given = (table, query, key, value, *turn, *pages, mixed, sums, scales, self._ended)
        told = (query.stride(0), key.stride(0), splits, int(rotation is not None), float(scale))
        self._attend((splits, blocks, tokens), _THREADS, *given, *told)
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
        (rank, into), tokens = a.shape, len(table)
        if not self._fits(x, a) or x.numel() != tokens * into or answer.stride(-1) != 1 or 4 * rank > _SHARED:
            return False
        low = torch.empty((tokens, rank), dtype=torch.float32, device=x.device)
        self._lower((min(rank, _MOST_ROWS), tokens, 1), _MANY_THREADS, table, x, a, scale, low, into, rank)
        self.lift(table, low, None, b, answer)
        return True

    def lift(
        self, table: torch.Tensor, low: torch.Tensor, scale: torch.Tensor | None, b: torch.Tensor, answer: torch.Tensor
    ) -> None:
        """Add to a layer's answer what adapters make of `low`, the product of its input and their A.

        Without `scale` it is multiplied by each row's already.
        """
        out, rank = b.shape
        given, told = (table, low, scale, b, answer), (low.stride(0), answer.stride(-2), out, rank)
        self._lift((-(-out // _THREADS), len(table), 1), _THREADS, *given, *told, shared=4 * rank)

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
        assert self._multiply is not None  # noqa: S101 - `multiplies` says so
        (out, into), further = weight.shape, 0 if below is None else len(below)
        tokens = x.numel() // x.shape[-1]
        y, low = x.new_empty((*x.shape[:-1], out)), x.new_empty((tokens, further), dtype=torch.float32)
        by, epsilon = norm or (None, 0.0)
        given = (x, weight, below, by, residual, y, low)
        told = (tokens, into, out, further, int(gates), float(epsilon))
        self._multiply((self._processors, 1, 1), _MANY_THREADS, *given, *told, shared=_shared(tokens, weight))
        return y, low

    def multiplies(self, x: torch.Tensor, weight: torch.Tensor, below: torch.Tensor | None = None) -> bool:
        """Whether `multiply` is written for these; where it is, it is the faster way."""
        tokens, into = x.numel() // x.shape[-1], weight.shape[1]
        few = tokens <= _FEW and into % _PIECE == 0 and _shared(tokens, weight) <= self._near
        further = below is None or (len(below) <= _MOST_BELOW and self._fits(below, weight))
        return bool(self._multiply and few and further and self._fits(x, weight))

    def _fits(self, x: torch.Tensor, other: torch.Tensor) -> bool:
        """Whether rows of both are where a thread can read several numbers at once."""
        whole = x.is_contiguous() and other.is_contiguous() and x.shape[-1] % self._shape.vector == 0
        return whole and x.dtype == other.dtype == self._shape.dtype


def _shared(tokens: int, weight: torch.Tensor) -> int:
    """Bytes of weights under way, and of so many rows that are multiplied by them."""
    return _COMING + tokens * (weight.shape[1] + _PIECE) * weight.itemsize


def _in_rows(x: torch.Tensor) -> torch.Tensor:
    """(tokens, heads, width), of which each token's numbers follow each other."""
    return x if x.stride()[1:] == (x.shape[2], 1) else x.contiguous()


def load(model: Any, page: int, row: int) -> CudaKernels | None:
    """For this model of transformers and a cache of `page` tokens a page; None when there are none (the log says why).

    `row`: numbers in a row of the table.
    """
    if model.device.type != "cuda":
        return None
    gpu = torch.cuda.get_device_properties(model.device)
    try:
        shape = shape_of(model.config.get_text_config(), model.dtype, page, row)
        code = compiled(SOURCE, shape.options(), f"sm_{gpu.major}{gpu.minor}")
        module = Module(code, early=bool(near(gpu)))
        return CudaKernels(shape, module.kernel, gpu.multi_processor_count, near(gpu))
    except Unavailable as error:
        logger.warning("attention gathers keys and values for each step: %s", error)
        return None
