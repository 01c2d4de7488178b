"""Attention over packed sequences of different lengths, without a mask of all against all.

transformers' continuous batching packs all requests of a step into one row. Its SDPA path then needs a mask whose
size, and work, grows with the square of the batch; its flash path needs a package that is not on every machine.
This is the flash path with what torch itself has. docs/decisions/2026-11-24-continuous-batching.md
"""

from typing import Any

import torch
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface
from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS, flash_attention_mask

from forge_inference.engine.errors import LoadError
from forge_inference.engine.spans import Spans, mask_of
from forge_inference.engine.table import OneEach

# "flash" makes transformers pass sequence lengths and no mask.
NAME = "forge_flash"
# What models of transformers ask of attention that is not computed here, by their names for it.
_OTHER = {"softcap": "bounds its scores", "s_aux": "has sinks"}


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
    spans: Spans | None = None,
    sliding_window: int | None = None,
    **kwargs: Any,
) -> tuple[torch.Tensor, None]:
    """As transformers calls it: (1, heads, tokens, width) in, (1, tokens, heads, width) out.

    Raises LoadError for what is not computed here.
    """
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    if cache is None and one_each is None:  # an ordinary forward of one prompt, to measure the adapter's effect
        for name, what in _OTHER.items():
            if kwargs.get(name) is not None:
                raise LoadError("BaseModelMismatch", f"The base model's attention {what}, which is not supported.")
        tokens = query.shape[2]
        mask = mask_of(tokens, tokens, sliding_window, query.dtype, query.device)
        mixed = scaled_dot_product_attention(
            query, key, value, mask, is_causal=mask is None, scale=scale, enable_gqa=True
        )
        return mixed.transpose(1, 2), None
    q, k, v = (each.squeeze(0).transpose(0, 1) for each in (query, key, value))
    if step := one_each or spans:
        return step.attend(module.layer_idx, q, k, v, scale).unsqueeze(0), None
    key, value = cache.update(key_states=key, value_states=value, layer_idx=module.layer_idx, kwargs=kwargs)
    k, v = (each.squeeze(0).transpose(0, 1) for each in (key, value))
    return _on_cuda(q, k, v, scale, sliding_window, kwargs).unsqueeze(0), None


def _on_cuda(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    scale: float,
    window: int | None,
    lengths: dict[str, Any],
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
        scale=scale,
        window_size=(-1 if window is None else window - 1, 0),  # causal, aligned to the end of the keys
        enable_gqa=query.shape[1] != key.shape[1],
    )
    assert isinstance(found, torch.Tensor)  # noqa: S101 - it gives more only when asked to
    return found
