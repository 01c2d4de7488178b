"""From a request's text to token ids. What a user writes never becomes a control token."""

from threading import Lock
from typing import Any
from uuid import uuid4

_ENDS_OF_TURN = ("<|im_end|>", "<|eot_id|>", "<|end|>", "<end_of_turn>")


class Prompts:
    """Renders prompts for one tokenizer of transformers."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._one_at_a_time = Lock()  # `split_special_tokens` is a state of the tokenizer
        self._control = frozenset(tokenizer.added_tokens_decoder)

    def encode(self, text: str, *, chat: bool) -> list[int]:
        """Token ids of a prompt, through the chat template where there is one and it is asked for."""
        with self._one_at_a_time:
            return self._encode(text, chat=chat)

    def _encode(self, text: str, *, chat: bool) -> list[int]:
        if not chat or not self._tokenizer.chat_template:
            found: list[int] = self._tokenizer(text, split_special_tokens=True).input_ids
            return found
        # Rendered around a stand-in, the template's control tokens and the user's words stay apart.
        stand_in = uuid4().hex
        before, _, after = (self._special(part) for part in self._render(stand_in).partition(stand_in))
        whole = self._special(self._render(text))
        if self._controls(whole) == self._controls([*before, *after]):
            return whole  # the better one: tokens may span the seams, as they did in training
        words = self._tokenizer(text, add_special_tokens=False, split_special_tokens=True).input_ids
        return [*before, *words, *after]

    def _controls(self, tokens: list[int]) -> list[int]:
        return [token for token in tokens if token in self._control]

    def _render(self, text: str) -> str:
        turn = [{"role": "user", "content": text}]
        return str(self._tokenizer.apply_chat_template(turn, tokenize=False, add_generation_prompt=True))

    def _special(self, rendered: str) -> list[int]:
        found: list[int] = self._tokenizer(rendered, add_special_tokens=False).input_ids
        return found


def closing_tokens(tokenizer: Any, generation_config: Any) -> frozenset[int]:
    """The tokens by which the model may end its turn: its own, the tokenizer's, and the chat template's."""
    declared = generation_config.eos_token_id
    found = set(declared if isinstance(declared, list) else [declared]) | {tokenizer.eos_token_id}
    template = tokenizer.chat_template or ""
    found |= {
        number
        for number, token in tokenizer.added_tokens_decoder.items()
        if str(token) in _ENDS_OF_TURN and str(token) in template
    }
    return frozenset(token for token in found if token is not None)
