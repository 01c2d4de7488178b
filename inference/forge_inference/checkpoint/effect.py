"""What an adapter changes, measured."""

import math
from collections.abc import Callable, Sequence

import torch

Forward = Callable[[torch.Tensor], torch.Tensor]


@torch.inference_mode()
def max_abs_logit_delta(adapted: Forward, plain: Forward, prompts: Sequence[Sequence[int]]) -> float:
    """The largest absolute difference of a next-token logit with and without the adapter, over all positions.

    Both take token ids of the shape (1, tokens) and give logits. `prompts` are token ids. NaN anywhere gives NaN.
    """
    largest = 0.0
    for tokens in prompts:
        ids = torch.tensor([list(tokens)])
        delta = float((adapted(ids).float() - plain(ids).float()).abs().max())
        if math.isnan(delta):
            return delta
        largest = max(largest, delta)
    return largest
