"""What the kernels for GPUs are compiled for, and from."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers.generation.continuous_batching.cache import group_layers_by_attn_type

from forge_inference.engine.nvrtc import Unavailable

_FILES = ("numbers", "attention", "layers", "multiply", "adapters")
SOURCE = "\n".join(Path(__file__).with_name("cuda").joinpath(f"{name}.cu").read_text() for name in _FILES)
_NUMBERS = {torch.float32: 0, torch.bfloat16: 1, torch.float16: 2}
_EARLY = 9  # the first GPUs, by their major number, on which kernels begin before the last one ends
_OWN = 17 * 1024  # bytes that blocks of `multiply` share besides


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


def near(gpu: Any) -> int:
    """Bytes that a block may share; 0 before the first GPUs on which a kernel begins before the last one ends."""
    return int(gpu.shared_memory_per_block_optin) - _OWN if gpu.major >= _EARLY else 0
