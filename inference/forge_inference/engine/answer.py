"""One answer while it is made: what is chosen next, what may be shown, and when it ends."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from forge_inference.engine.contract import Chunk, FinishReason, Request
from forge_inference.engine.errors import EngineError, EngineFailed
from forge_inference.engine.sampling import Choice, Chooser
from forge_inference.engine.text import TextStream


@dataclass(frozen=True)
class Ear:
    """Who listens: `hear` each chunk or what went wrong, then `end` once."""

    hear: Callable[[Chunk | EngineError], None]
    end: Callable[[], None]


class Answer:
    """`slot` is the adapter's, `closing` the tokens by which the model ends its turn.

    `most`: new tokens of a request that asks for as many as there is room for.
    """

    name = ""  # in the batch
    waited = 0.0  # seconds in the queue

    def __init__(
        self,
        request: Request,
        prompt: Sequence[int],
        slot: int,
        ear: Ear,
        *,
        most: int,
        tokenizer: Any,
        closing: frozenset[int],
        device: torch.device,
    ) -> None:
        self.prompt, self.slot, self.patient = prompt, slot, request.patient
        self.chooser = Chooser(request.sampling, prompt, device, request.top_logprobs)
        self._ear, self._closing = ear, frozenset[int]() if request.ignore_eos else closing
        self.left = request.max_new_tokens or most  # tokens that it may still have
        self._text = TextStream(tokenizer, request.stop)
        self._taken: Choice | None = None
        self._ended = False

    def take(self, choice: Choice) -> bool:
        """The next token; whether it was the last. It is told later, by `tell`, unless it is the last."""
        if not choice.is_number:
            self.fail(EngineFailed("the model's logits are not numbers"))
            return True
        self.tell()
        self.left -= 1
        self.chooser.remember(choice.token)
        self._taken = choice
        if self.left == 0 or choice.token in self._closing or self._text.stops:
            self.tell()
        return self._ended

    def tell(self) -> None:
        """What was taken, if it is not told yet."""
        choice, self._taken = self._taken, None
        if choice is None:
            return
        closing = choice.token in self._closing
        shown = "" if closing else self._text.add(choice.token)
        finish: FinishReason | None = "length" if self.left == 0 else None
        if closing or self._text.stopped:
            finish = "stop"
        if finish and not self._text.stopped:
            shown += self._text.end()
        waited, self.waited = self.waited, 0.0
        self._ear.hear(
            Chunk(shown, choice.token, choice.logprob, len(self.prompt), closing, finish, choice.top, waited)
        )
        if finish:
            self._ended = True
            self._ear.end()

    def fail(self, why: EngineError) -> None:
        """It ends without an answer."""
        self.tell()
        self._ear.hear(why)
        self._ear.end()
