"""From tokens to text: whole characters only, and never past a stop string."""

from typing import Any

from tokenizers.decoders import DecodeStream


class TextStream:
    """Text of one answer, token by token. `stopped` once a stop string was met."""

    def __init__(self, tokenizer: Any, stop: tuple[str, ...]) -> None:
        """`tokenizer` is a fast tokenizer of transformers."""
        self._backend = tokenizer.backend_tokenizer
        self._decode = DecodeStream(skip_special_tokens=True)
        self._stop = stop
        self._held = ""  # may be the beginning of a stop string
        self.stopped = False

    @property
    def stops(self) -> bool:
        """Whether any text can stop it."""
        return bool(self._stop)

    def add(self, token: int) -> str:
        """What may be shown now."""
        self._held += self._decode.step(self._backend, token) or ""
        found = [at for word in self._stop if (at := self._held.find(word)) >= 0]
        if found:
            self.stopped = True
            shown, self._held = self._held[: min(found)], ""
            return shown
        keep = self._may_begin_a_stop()
        shown, self._held = self._held[: len(self._held) - keep], self._held[len(self._held) - keep :]
        return shown

    def end(self) -> str:
        """What was held back, once no more tokens come."""
        shown, self._held = self._held, ""
        return shown

    def _may_begin_a_stop(self) -> int:
        """How many of the last characters could become a stop string."""
        longest = max((len(word) for word in self._stop), default=1) - 1
        for length in range(min(longest, len(self._held)), 0, -1):
            if any(word.startswith(self._held[-length:]) for word in self._stop):
                return length
        return 0
