"""Log-probabilities of a prompt's own tokens, for evaluations that compare given answers."""

from collections.abc import Callable, Sequence

import torch

from forge_inference.engine.contract import Scored

_ROWS = 256  # at a time in float32: a vocabulary is large


def score(forward: Callable[[torch.Tensor], torch.Tensor], tokens: Sequence[int], top: int) -> tuple[Scored, ...]:
    """Each token with its raw log-probability given those before it; the first has none.

    `forward` takes token ids of the shape (1, tokens) and gives logits; `top`: how many of the likeliest to tell.
    """
    found = [Scored(tokens[0], None, ())]
    logits = forward(torch.tensor([list(tokens)]))[0, :-1]
    for begin in range(0, len(tokens) - 1, _ROWS):
        part = torch.log_softmax(logits[begin : begin + _ROWS].float(), dim=-1)
        own = torch.tensor(tokens[begin + 1 : begin + 1 + len(part)], device=part.device)
        chosen = part.gather(1, own[:, None])[:, 0].tolist()
        likeliest = torch.topk(part, min(top, part.shape[1])) if top else None
        for row, token in enumerate(own.tolist()):
            others: tuple[tuple[int, float], ...] = ()
            if likeliest:
                others = tuple(zip(likeliest.indices[row].tolist(), likeliest.values[row].tolist(), strict=True))
            found.append(Scored(token, chosen[row], others))
    return tuple(found)
