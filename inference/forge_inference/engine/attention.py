"""Attention over packed sequences of different lengths, without a mask of all against all.

transformers' continuous batching packs all requests of a step into one row. Its SDPA path then needs a mask whose
size, and work, grows with the square of the batch; its flash path needs a package that is not on every machine.
This is the flash path with what torch itself has. docs/decisions/2026-11-24-continuous-batching.md
"""

from functools import lru_cache
from itertools import takewhile
from typing import Any

import torch
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface
from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS, flash_attention_mask

from forge_inference.engine.table import OneEach

# "flash" makes transformers pass sequence lengths and no mask.
NAME = "forge_flash"


def use(model: Any) -> None:
    """Make a model of transformers compute attention here."""
    AttentionInterface.register(NAME, attend)
    ALL_MASK_ATTENTION_FUNCTIONS.register(NAME, flash_attention_mask)
    # Asked for by `set_attn_implementation`, a flash attention is looked for among packages and kernels to download.
    model.config.get_text_config()._attn_implementation = NAME  # noqa: SLF001


def attend(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    cache: Any = None,
    one_each: OneEach | None = None,
    **kwargs: Any,
) -> tuple[torch.Tensor, None]:
    """As transformers calls it: (1, heads, tokens, width) in, (1, tokens, heads, width) out."""
    if one_each:
        q, k, v = (each.squeeze(0).transpose(0, 1) for each in (query, key, value))
        scale = query.shape[-1] ** -0.5 if scaling is None else scaling
        return one_each.attend(module.layer_idx, q, k, v, scale).unsqueeze(0), None
    if cache is None:  # an ordinary forward of one prompt, to measure the adapter's effect
        mixed = scaled_dot_product_attention(query, key, value, is_causal=True, scale=scaling, enable_gqa=True)
        return mixed.transpose(1, 2), None
    key, value = cache.update(key_states=key, value_states=value, layer_idx=module.layer_idx, kwargs=kwargs)
    q, k, v = (each.squeeze(0).transpose(0, 1) for each in (query, key, value))
    # torch's kernel computes in 16 bits only.
    varlen = _on_cuda if query.is_cuda and query.dtype != torch.float32 else _one_by_one
    return varlen(q, k, v, scaling, kwargs).unsqueeze(0), None


def _on_cuda(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scaling: float | None, lengths: dict[str, Any]
) -> torch.Tensor:
    """(tokens, heads, width) each; `lengths` has the running sums of the sequences' lengths."""
    from torch.nn.attention.varlen import varlen_attn

    found = varlen_attn(
        query,
        key,
        value,
        lengths["cu_seq_lens_q"],
        lengths["cu_seq_lens_k"],
        lengths["max_length_q"],
        lengths["max_length_k"],
        scale=scaling,
        window_size=(-1, 0),  # causal, aligned to the end of the keys
        enable_gqa=query.shape[1] != key.shape[1],
    )
    assert isinstance(found, torch.Tensor)  # noqa: S101 - it gives more only when asked to
    return found


def _one_by_one(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scaling: float | None, lengths: dict[str, Any]
) -> torch.Tensor:
    """The same on a CPU or in float32, one sequence after another, but those with one query each all at once.

    These come first in a step, see `fairness`.
    """
    mixed = torch.empty_like(query)
    queries, keys = lengths["cu_seq_lens_q"].tolist(), lengths["cu_seq_lens_k"].tolist()
    spans = [span for span in zip(queries, queries[1:], keys, keys[1:], strict=False) if span[0] < span[1]]
    ends = tuple((first, last) for _, _, first, last in takewhile(lambda span: span[1] - span[0] == 1, spans))
    longest = max((last - first for first, last in ends), default=0)
    if len(ends) > 1 and len(ends) * longest <= 2 * ends[-1][1]:
        mixed[: len(ends)] = _together(query[: len(ends)], key, value, scaling, ends)
        spans = spans[len(ends) :]
    for begin, end, first, last in spans:
        count, length = end - begin, last - first
        q, k, v = (part.transpose(0, 1).unsqueeze(0) for part in (query[begin:end], key[first:last], value[first:last]))
        mask = _causal(count, length, q.device) if count not in (1, length) else None
        alone = scaled_dot_product_attention(
            q, k, v, attn_mask=mask, is_causal=count == length > 1, scale=scaling, enable_gqa=True
        )
        mixed[begin:end] = alone.squeeze(0).transpose(0, 1)
    return mixed


@lru_cache(maxsize=2)
def _causal(count: int, length: int, device: torch.device) -> torch.Tensor:
    """Which keys the last `count` of `length` tokens may read; the same for all layers of a step."""
    return torch.ones(count, length, dtype=torch.bool, device=device).tril(length - count)


def _together(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    scaling: float | None,
    ends: tuple[tuple[int, int], ...],
) -> torch.Tensor:
    """One query of each sequence, whose keys are filled up to the longest: one call where calls are the cost."""
    at, mask = _filled_up(ends, query.device)
    k, v = (
        part.index_select(0, at).unflatten(0, (len(ends), -1)).transpose(1, 2)  # (sequences, heads, longest, width)
        for part in (key, value)
    )
    found = scaled_dot_product_attention(query.unsqueeze(2), k, v, attn_mask=mask, scale=scaling, enable_gqa=True)
    return found.squeeze(2)


@lru_cache(maxsize=1)
def _filled_up(ends: tuple[tuple[int, int], ...], device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Which keys, flat, and which of them count; the same for all layers of a step."""
    first, last = torch.tensor(ends, device=device).T[:, :, None]
    at = first + torch.arange(int((last - first).max()), device=device)
    return at.clamp(max=ends[-1][1] - 1).flatten(), (at < last)[:, None, None]
