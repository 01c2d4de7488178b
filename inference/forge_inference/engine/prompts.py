"""From a request's text to token ids. What a user writes never becomes a control token."""

from collections.abc import Sequence
from threading import Lock
from typing import Any
from uuid import uuid4

from jinja2 import TemplateError

from forge_inference.engine.contract import Message
from forge_inference.engine.errors import InvalidRequest

_ENDS_OF_TURN = ("<|im_end|>", "<|eot_id|>", "<|end|>", "<end_of_turn>")


class Prompts:
    """Renders prompts for one tokenizer of transformers."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._one_at_a_time = Lock()  # `split_special_tokens` is a state of the tokenizer
        self._control = frozenset(tokenizer.added_tokens_decoder)

    def encode(self, text: str, *, chat: bool) -> list[int]:
        """Token ids of a prompt, through the chat template where there is one and it is asked for."""
        if not chat or not self._tokenizer.chat_template:
            with self._one_at_a_time:
                found: list[int] = self._tokenizer(text, split_special_tokens=True).input_ids
            return found
        return self.conversation([Message("user", text)])

    def conversation(self, turns: Sequence[Message]) -> list[int]:
        """Token ids of turns through the chat template, which the template may refuse: InvalidRequest."""
        if not self._tokenizer.chat_template:
            raise InvalidRequest("the base model has no chat template; ask for a completion instead")
        with self._one_at_a_time:
            return self._conversation(turns)

    def _conversation(self, turns: Sequence[Message]) -> list[int]:
        # Rendered around stand-ins, the template's control tokens and the users' words stay apart.
        stand_ins = [uuid4().hex for _ in turns]
        frame = self._render([Message(turn.role, word) for turn, word in zip(turns, stand_ins, strict=True)])
        whole = self._special(self._render(turns))
        apart: list[int] = []
        controls: list[int] = []
        for word, turn in zip(stand_ins, turns, strict=True):
            before, found, frame = frame.partition(word)
            if not found:
                raise InvalidRequest(f"the base model's chat template leaves out a turn of the role {turn.role!r}")
            apart += self._special(before)
            controls += self._controls(self._special(before))
            apart += self._tokenizer(turn.content, add_special_tokens=False, split_special_tokens=True).input_ids
        apart += self._special(frame)
        controls += self._controls(self._special(frame))
        if self._controls(whole) == controls:
            return whole  # the better one: tokens may span the seams, as they did in training
        return apart

    def _controls(self, tokens: list[int]) -> list[int]:
        return [token for token in tokens if token in self._control]

    def _render(self, turns: Sequence[Message]) -> str:
        conversation = [{"role": turn.role, "content": turn.content} for turn in turns]
        try:
            return str(self._tokenizer.apply_chat_template(conversation, tokenize=False, add_generation_prompt=True))
        except (TemplateError, TypeError, ValueError) as error:  # templates raise, e.g. for roles out of order
            raise InvalidRequest(f"the base model's chat template refuses the messages: {error}") from error

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
