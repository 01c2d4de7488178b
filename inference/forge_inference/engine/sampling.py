"""The next token, from logits."""

import torch

from forge_inference.engine.contract import Sampling

_COLDEST = 1e-4  # below it, dividing by the temperature leaves the range of float32; only one token is likely anyway


class Chooser:
    """Chooses the tokens of one answer. The same seed gives the same answer on the same machine."""

    def __init__(self, sampling: Sampling, device: torch.device) -> None:
        self._sampling = sampling
        self._random = torch.Generator(device)
        if sampling.seed is None:
            self._random.seed()
        else:
            self._random.manual_seed(sampling.seed % 2**63)  # any integer is a seed

    def next(self, logits: torch.Tensor) -> tuple[int, float]:
        """Token and its raw log-probability (natural logarithm, T=1, before any filter).

        `logits` has the shape (vocabulary,), in float32. Raises ValueError when one is not a number.
        """
        logprobs = torch.log_softmax(logits, dim=-1)
        if torch.isnan(logprobs).any():
            raise ValueError("the model's logits are not numbers")
        if self._sampling.temperature < _COLDEST:
            token = int(logits.argmax())
        else:
            kept = filtered(logits / self._sampling.temperature, self._sampling.top_k, self._sampling.top_p)
            token = int(torch.multinomial(torch.softmax(kept, dim=-1), 1, generator=self._random))
        return token, float(logprobs[token])


def filtered(logits: torch.Tensor, top_k: int, top_p: float) -> torch.Tensor:
    """Minus infinity for all but the `top_k` likeliest (0: all), then the fewest whose probability reaches `top_p`."""
    if 0 < top_k < logits.numel():
        least = torch.topk(logits, top_k).values[-1]
        logits = logits.masked_fill(logits < least, -torch.inf)
    if top_p < 1:
        ordered, order = torch.sort(logits, descending=True)
        probabilities = torch.softmax(ordered, dim=-1)
        beyond = torch.cumsum(probabilities, dim=-1) - probabilities >= top_p  # the one that crosses the limit stays
        beyond[0] = False
        logits = logits.masked_fill(torch.zeros_like(beyond).scatter(0, order, beyond), -torch.inf)
    return logits
