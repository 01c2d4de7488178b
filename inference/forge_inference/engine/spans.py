"""Attention over a step's sequences on CPUs, and in float32: where they are is worked out once, and read by all layers.

torch's kernel for sequences of different lengths computes in 16 bits, on GPUs. Here each prompt is attended to alone,
and answers, which have one query each, all at once. Keys and values are gathered from the cache once, and not at all
for a prompt that begins.
"""

from collections.abc import Mapping, Sequence
from itertools import pairwise, takewhile
from typing import Any

import torch
from torch.nn.functional import scaled_dot_product_attention

Pair = Sequence[torch.Tensor]  # keys and values, (tokens, heads, width) each


class Spans:
    """One step, for the layers."""

    def __init__(self, cache: Any, arguments: Mapping[str, Any], dtype: torch.dtype) -> None:
        """Both are the library's: `arguments` are what it calls the model with. `dtype`: of queries."""
        self._allocators = cache.layer_to_allocator
        self._indices = list(zip(arguments["read_index"], arguments["write_index"], strict=True))
        queries = arguments["cu_seq_lens_q"].tolist()
        self._sequences = []
        for (kind, allocator), (read, write) in zip(cache.cache_allocators.items(), self._indices, strict=True):
            keys, window = arguments["cu_seq_lens_k"][kind].tolist(), window_of(allocator)
            at = read if len(read) else write  # where all begin, what is read is what was written
            if window is not None:
                at = torch.arange(keys[-1], device=write.device)
            self._sequences.append(Sequences(queries, keys, at, window, dtype))

    def attend(
        self, layer: int, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scale: float
    ) -> torch.Tensor:
        """(tokens, heads, width) each. Keys and values are put into the cache of this layer."""
        allocator = self._allocators[layer]
        read, write = self._indices[allocator.index]
        if window_of(allocator) is None:
            allocator.update(key, value, layer, read[:0], write)  # with nothing to read it only writes
            stored = [pages.flatten(0, 1) for pages in allocator.get_cache_for_block_table(layer)]
        else:  # a token may overwrite the one that left its window, so these are gathered before
            stored = allocator.update(key, value, layer, read, write)
        return self._sequences[allocator.index].attend(query, (key, value), stored, scale)


def window_of(allocator: Any) -> int | None:
    """How many tokens, itself included, a token sees in the layers of this part of the cache; None: all before it."""
    return allocator.sliding_window if allocator.layer_type == "sliding_attention" else None


class Sequences:
    """Those of one step, as layers see them whose cache is alike."""

    def __init__(
        self, queries: list[int], keys: list[int], at: torch.Tensor, window: int | None, dtype: torch.dtype
    ) -> None:
        """`queries` and `keys` are running sums of lengths; `at`: the rows of all keys in what is stored."""
        spans = [
            (begin, end, first, last)
            for (begin, end), (first, last) in zip(pairwise(queries), pairwise(keys), strict=True)
            if begin < end
        ]
        # Answers come first in a step, see `fairness`.
        ends = [(first, last) for _, _, first, last in takewhile(lambda span: span[1] - span[0] == 1, spans)]
        longest = max((last - first for first, last in ends), default=0)
        if ends and len(ends) * longest > 2 * ends[-1][1]:  # most of it would be filling
            ends = []
        self._answers, self._unseen = len(ends), None
        if ends:
            begins, stops = torch.tensor(ends, device=at.device).T[:, :, None]
            filled = begins + torch.arange(longest, device=at.device)
            self._filled = at[filled.clamp(max=ends[-1][1] - 1).flatten()]
            if len(self._filled) != ends[-1][1]:
                self._unseen = _minus_infinity((filled >= stops)[:, None, None], dtype)
        masks = {
            (count, length): mask_of(count, length, window, dtype, at.device)
            for count, length in {(end - begin, last - first) for begin, end, first, last in spans[len(ends) :]}
        }
        self._prompts = [
            # A prompt that begins has no keys but those of this step.
            (begin, end, None if end - begin == last - first else at[first:last], masks[end - begin, last - first])
            for begin, end, first, last in spans[len(ends) :]
        ]

    def attend(self, query: torch.Tensor, made: Pair, stored: Pair, scale: float) -> torch.Tensor:
        """`made`: of this step's tokens; `stored`: of all tokens."""
        if self._answers == len(query):
            return self._together(query, stored, scale)
        mixed = torch.empty_like(query)
        if self._answers:
            mixed[: self._answers] = self._together(query[: self._answers], stored, scale)
        for begin, end, at, mask in self._prompts:
            parts = [of[begin:end] if at is None else of.index_select(0, at) for of in (made if at is None else stored)]
            q, k, v = (part.transpose(0, 1)[None] for part in (query[begin:end], *parts))
            causal = at is None and mask is None and end - begin > 1
            alone = scaled_dot_product_attention(q, k, v, mask, is_causal=causal, scale=scale, enable_gqa=True)
            mixed[begin:end] = alone[0].transpose(0, 1)
        return mixed

    def _together(self, query: torch.Tensor, stored: Pair, scale: float) -> torch.Tensor:
        """One query of each answer, whose keys are filled up to the longest: one call where calls are the cost."""
        # (answers, heads, longest, width)
        k, v = (part.index_select(0, self._filled).unflatten(0, (self._answers, -1)).transpose(1, 2) for part in stored)
        # Queries that share keys as rows of one multiplication: torch's own way copies the keys for each of them.
        shared = query.unflatten(1, (k.shape[1], -1))
        return scaled_dot_product_attention(shared, k, v, self._unseen, scale=scale).flatten(1, 2)


def mask_of(
    count: int, length: int, window: int | None, dtype: torch.dtype, device: torch.device
) -> torch.Tensor | None:
    """What is added to the scores of the last `count` of `length` tokens; None: they see all but what follows them."""
    if count == 1 or (count == length and (window is None or length <= window)):
        return None
    seen = torch.ones(count, length, dtype=torch.bool, device=device).tril(length - count)
    if window is not None:
        seen = seen.triu(length - count - window + 1)
    return _minus_infinity(~seen, dtype)


def _minus_infinity(where: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    return torch.zeros(where.shape, dtype=dtype, device=where.device).masked_fill_(where, float("-inf"))
