"""What is checked before a request reaches the batch: one that breaks a step would take its neighbours with it."""

from forge_inference.engine.contract import Request
from forge_inference.engine.errors import InvalidRequest, PromptTooLong
from forge_inference.engine.prompts import Prompts


def prompt_of(request: Request, prompts: Prompts, *, rows: int, longest: int) -> list[int]:
    """The tokens of its prompt.

    `rows`: of the embedding; `longest`: tokens of prompt and answer. Raises InvalidRequest and PromptTooLong.
    """
    if "" in request.stop:
        raise InvalidRequest("a stop string must not be empty")
    tokens = _tokens(request, prompts, longest)
    if not tokens:
        raise InvalidRequest("the prompt is empty")
    if wrong := [token for token in tokens if not 0 <= token < rows]:
        raise InvalidRequest(f"the prompt has the token {wrong[0]}; this model has tokens from 0 to {rows - 1}")
    if len(tokens) + (1 if request.max_new_tokens is None else request.max_new_tokens) > longest:
        raise _too_long(f"{len(tokens)} tokens", request, longest)
    return tokens


def _tokens(request: Request, prompts: Prompts, longest: int) -> list[int]:
    if isinstance(request.prompt, str):
        _not_hopeless(request.prompt, request, longest)
        return prompts.encode(request.prompt, chat=request.chat)
    if any(isinstance(part, int) for part in request.prompt):
        return [part for part in request.prompt if isinstance(part, int)]
    turns = [part for part in request.prompt if not isinstance(part, int)]
    for turn in turns:
        _not_hopeless(turn.content, request, longest)
    return prompts.conversation(turns)


# A token of more characters than this is rare, and text of nothing but such tokens does not occur.
_LONGEST_TOKEN = 32


def _not_hopeless(text: str, request: Request, longest: int) -> None:
    """Millions of characters are not tokenised only to be refused."""
    if len(text) > longest * _LONGEST_TOKEN:
        raise _too_long(f"{len(text)} characters", request, longest)
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InvalidRequest("the prompt is not Unicode text: it has a lone surrogate") from error


def _too_long(what: str, request: Request, longest: int) -> PromptTooLong:
    answer = "an answer" if request.max_new_tokens is None else f"max_new_tokens {request.max_new_tokens}"
    return PromptTooLong(
        f"the prompt has {what}; with {answer} that is more than the {longest} tokens that this model serves"
    )
