"""What an adapter changes, measured."""

import math
from collections.abc import Sequence
from typing import Any

import torch


@torch.inference_mode()
def max_abs_logit_delta(model: Any, prompts: Sequence[Sequence[int]]) -> float:
    """The largest absolute difference of a next-token logit with and without the adapter, over all positions.

    `model` is a PeftModel; `prompts` are token ids. NaN anywhere gives NaN.
    """
    largest = 0.0
    for tokens in prompts:
        ids = torch.tensor([list(tokens)], device=model.device)
        adapted = model(input_ids=ids, use_cache=False).logits.float()
        with model.disable_adapter():
            plain = model(input_ids=ids, use_cache=False).logits.float()
        delta = float((adapted - plain).abs().max())
        if math.isnan(delta):
            return delta
        largest = max(largest, delta)
    return largest
