"""The next tokens, from logits."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from forge_inference.engine.contract import Sampling

_COLDEST = 1e-4  # below it, dividing by the temperature leaves the range of float32; only one token is likely anyway
_LIKELY = 512  # so many tokens nearly always hold top_p; sorting only these is a hundred times faster


@dataclass(frozen=True, slots=True)
class Choice:
    """A token, its raw log-probability (natural logarithm, T=1, before any filter), and the likeliest with theirs.

    `is_number` False: the logits were not, and the token means nothing.
    """

    token: int
    logprob: float
    top: tuple[tuple[int, float], ...]
    is_number: bool


class Chooser:
    """Chooses the tokens of one answer. The same seed gives the same answer on the same machine."""

    def __init__(self, sampling: Sampling, prompt: Sequence[int], device: torch.device, top: int = 0) -> None:
        """`top`: how many of the likeliest tokens are told beside the chosen one."""
        self._sampling, self.top = sampling, top
        self._prompt, self._new = frozenset(prompt), Counter[int]()
        self._random = torch.Generator(device)
        if sampling.seed is None:
            self._random.seed()
        else:
            self._random.manual_seed(sampling.seed % 2**63)  # any integer is a seed

    @property
    def likeliest(self) -> bool:
        """Whether the token with the largest logit is all that is asked for."""
        return self._sampling.temperature < _COLDEST and not self._penalises

    @property
    def is_plain(self) -> bool:
        """Whether nothing but that token and its log-probability is asked for."""
        return self.likeliest and self.top == 0

    def choice(self, logits: torch.Tensor, likeliest: int) -> Choice:
        """From logits of the shape (vocabulary,), in float32."""
        logprobs = torch.log_softmax(logits, dim=-1)
        token = likeliest if self.likeliest else self.choose(logits)
        return Choice(token, float(logprobs[token]), _top(logprobs, self.top), is_number=True)

    def choose(self, logits: torch.Tensor) -> int:
        """The token alone."""
        if self._penalises:
            logits = self._penalised(logits)
        if self._sampling.temperature < _COLDEST:
            return int(logits.argmax())
        kept = filtered(
            logits / self._sampling.temperature, self._sampling.top_k, self._sampling.top_p, self._sampling.min_p
        )
        return int(torch.multinomial(torch.softmax(kept, dim=-1), 1, generator=self._random))

    def remember(self, token: int) -> None:
        """It is part of the answer now."""
        if self._penalises:
            self._new[token] += 1

    @property
    def _penalises(self) -> bool:
        wanted = self._sampling
        return wanted.repetition_penalty != 1 or wanted.presence_penalty != 0 or wanted.frequency_penalty != 0

    def _penalised(self, logits: torch.Tensor) -> torch.Tensor:
        """Repetition as in CTRL (arXiv:1909.05858), of prompt and answer; the others are OpenAI's, of the answer."""
        logits, wanted = logits.clone(), self._sampling
        if wanted.repetition_penalty != 1 and (seen := self._prompt | self._new.keys()):
            at = torch.tensor(sorted(seen), device=logits.device)
            score = logits[at]
            logits[at] = torch.where(score > 0, score / wanted.repetition_penalty, score * wanted.repetition_penalty)
        if self._new:
            at = torch.tensor(list(self._new), device=logits.device)
            often = torch.tensor(list(self._new.values()), device=logits.device)
            logits[at] -= wanted.presence_penalty + wanted.frequency_penalty * often
        return logits


def likeliest(logits: torch.Tensor) -> torch.Tensor:
    """For each row of (answers, vocabulary): the likeliest token, its log-probability, and 1 if that is a number.

    In float32, which tells apart more tokens than there are.
    """
    wide = logits.float()
    top, token = wide.max(dim=-1)
    logprob = -torch.log(torch.exp(wide - top[:, None]).sum(dim=-1))
    return torch.stack([token.float(), logprob, torch.isfinite(logprob).float()], dim=1)


def choose(
    logits: torch.Tensor, found: Sequence[Sequence[float]], rows: Sequence[int], choosers: Sequence[Chooser]
) -> list[Choice]:
    """One token for each of `rows` of `logits`, of the shape (answers, vocabulary); `found`: the likeliest of each."""
    choices = []
    for row, chooser in zip(rows, choosers, strict=True):
        token, logprob, is_number = found[row]
        if is_number and not chooser.is_plain:
            choices.append(chooser.choice(logits[row].float(), int(token)))
        else:
            choices.append(Choice(int(token), logprob, (), bool(is_number)))
    return choices


def _top(logprobs: torch.Tensor, count: int) -> tuple[tuple[int, float], ...]:
    if count == 0:
        return ()
    found = torch.topk(logprobs, min(count, logprobs.numel()))
    return tuple(zip(found.indices.tolist(), found.values.tolist(), strict=True))


def filtered(logits: torch.Tensor, top_k: int, top_p: float, min_p: float = 0.0) -> torch.Tensor:
    """Minus infinity for all but the `top_k` likeliest (0: all), then the fewest whose probability reaches `top_p`.

    `min_p` drops what is less likely than that part of the likeliest (arXiv:2407.01082).
    """
    if 0 < top_k < logits.numel():
        least = torch.topk(logits, top_k).values[-1]
        logits = logits.masked_fill(logits < least, -torch.inf)
    if min_p > 0:
        logits = logits.masked_fill(
            torch.softmax(logits, dim=-1) < min_p * torch.softmax(logits, dim=-1).max(), -torch.inf
        )
    if top_p < 1:
        logits = _nucleus(logits, top_p)
    return logits


def _nucleus(logits: torch.Tensor, top_p: float) -> torch.Tensor:
    probabilities = torch.softmax(logits, dim=-1)
    for count in (_LIKELY, logits.numel()):
        likely = torch.topk(probabilities, min(count, logits.numel()))
        total = torch.cumsum(likely.values, dim=-1)
        if float(total[-1]) >= top_p:
            break
    keep = total - likely.values < top_p  # the one that crosses the limit stays
    keep[0] = True
    inside = torch.zeros_like(logits, dtype=torch.bool).index_fill_(0, likely.indices[keep], value=True)
    return logits.masked_fill(~inside, -torch.inf)
