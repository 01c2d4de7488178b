"""What a question about a context asks of the engine: a prompt that fits, and how likely given answers are."""

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from forge_inference.engine import contract
from forge_inference.engine.contract import Engine
from forge_inference.engine.errors import PromptTooLong
from forge_inference.science.genomics.context import Sentence

_SPARE = 16  # tokens that a template may count differently
_CHARACTERS = 24  # of a token, at most: what is longer is not worth counting


@dataclass(frozen=True, slots=True)
class Fitted:
    """A prompt, its tokens, and the sentences that there was room for."""

    text: str
    tokens: tuple[int, ...]
    shown: tuple[Sentence, ...]

    @property
    def digest(self) -> str:
        return f"sha256:{hashlib.sha256(self.text.encode()).hexdigest()}"


async def fitted(
    engine: Engine,
    write: Callable[[Sequence[Sentence]], str],
    ranked: Sequence[Sentence],
    adapter: str | None,
    new_tokens: int,
) -> Fitted:
    """The prompt with as many of the sentences as fit, the best ones, in the order of the text.

    Counted with the served tokenizer. A question that does not fit even alone is left to the engine to refuse.
    """
    room = engine.max_model_len - new_tokens - _SPARE

    async def tried(count: int) -> Fitted | None:
        shown = tuple(sorted(ranked[:count], key=lambda sentence: sentence.number))
        text = write(shown)
        if len(text) > max(room, 1) * _CHARACTERS:
            return None
        try:
            tokens = await engine.tokenize(contract.Request(text, new_tokens, adapter=adapter))
        except PromptTooLong:
            return None
        return Fitted(text, tuple(tokens), shown) if len(tokens) <= room else None

    if whole := await tried(len(ranked)):
        return whole
    best, fits, too_many = None, 0, len(ranked)
    while too_many - fits > max(1, fits // 50):  # to within a fiftieth of what fits
        count = (fits + too_many) // 2
        if found := await tried(count):
            best, fits = found, count
        else:
            too_many = count
    if best:
        return best
    text = write(())
    return Fitted(text, tuple(await engine.tokenize(contract.Request(text, new_tokens, adapter=adapter))), ())


@dataclass(frozen=True, slots=True)
class Option:
    """`logprob` is the mean over its tokens; `probability` is among the options, and of nothing else."""

    text: str
    logprob: float
    probability: float
    tokens: int


async def options(
    engine: Engine, prompt: Fitted, texts: Sequence[str], adapter: str | None, timed: Callable[[int, int], None]
) -> list[Option]:
    """How likely each text is as the answer: one forward pass over the prompt and it. Likeliest first."""
    opening = await _opening(engine, adapter)
    found: list[tuple[str, float, int]] = []
    for text in texts:
        own = (await engine.tokenize(contract.Request(text, 1, chat=False, adapter=adapter)))[opening:]
        scored = await engine.score(contract.Request((*prompt.tokens, *own), 1, adapter=adapter))
        timed(len(scored), 0)
        logprobs = [each.logprob or 0.0 for each in scored[-len(own) :]]
        found.append((text, math.fsum(logprobs) / len(own), len(own)))
    highest = max(logprob for _, logprob, _ in found)
    total = math.fsum(math.exp(logprob - highest) for _, logprob, _ in found)
    likely = [Option(text, logprob, math.exp(logprob - highest) / total, count) for text, logprob, count in found]
    return sorted(likely, key=lambda option: -option.probability)


async def _opening(engine: Engine, adapter: str | None) -> int:
    """How many tokens a tokenizer puts before any text: what two texts that begin differently both begin with."""
    one, other = [await engine.tokenize(contract.Request(text, 1, chat=False, adapter=adapter)) for text in ("a", "7")]
    same = 0
    while same < min(len(one), len(other)) - 1 and one[same] == other[same]:
        same += 1
    return same
