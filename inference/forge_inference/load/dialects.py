"""How requests are asked and answers read: our own API, and OpenAI's two."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from forge_inference.load.events import Garbage

DONE = "[DONE]"


@dataclass(frozen=True)
class Wish:
    """What every request asks for, besides its prompt. `max_tokens` are new ones; `model` None: as the server likes."""

    max_tokens: int = 64
    temperature: float = 0.0
    model: str | None = None
    ignore_eos: bool = False


@dataclass(frozen=True)
class Heard:
    """What one event says: whether it has something of the answer, whether it ends it, and the server's own counts."""

    token: bool = False
    over: bool = False
    prompt_tokens: int | None = None
    tokens: int | None = None


@dataclass(frozen=True)
class Dialect:
    """A route, the body that it takes, and what its events mean. `read` raises KeyError and the like for others."""

    path: str
    body: Callable[[str, Wish], dict[str, Any]]
    read: Callable[[Mapping[str, Any]], Heard]


class Told(Exception):
    """The server said in the stream that the answer failed."""


def heard(dialect: Dialect, content: object) -> Heard:
    """One event's JSON. Raises Told for an error event, Garbage for what is no event of this API."""
    if not isinstance(content, Mapping):
        raise Garbage(f"no JSON object: {str(content)[:80]!r}")
    if error := content.get("error"):
        raise Told(str(error.get("message") or error)[:500] if isinstance(error, Mapping) else str(error)[:500])
    try:
        return dialect.read(content)
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        raise Garbage(f"no event of {dialect.path}: {str(content)[:200]}") from error


def _generate_body(prompt: str, wish: Wish) -> dict[str, Any]:
    body = {"text": prompt, "max_new_tokens": wish.max_tokens, "temperature": wish.temperature, "stream": True}
    return body if wish.model is None else {**body, "model": wish.model}


def _generate_read(content: Mapping[str, Any]) -> Heard:
    if "results" not in content:
        return Heard(token="token" in content or bool(content["text"]))
    (result,), usage = content["results"], content["usage"]
    if result.get("error"):
        raise Told(str(result["error"]["message"])[:500])
    return Heard(over=True, prompt_tokens=usage["prompt_tokens"], tokens=usage["completion_tokens"])


def _openai_body(wish: Wish) -> dict[str, Any]:
    more = {"ignore_eos": True} if wish.ignore_eos else {}  # not OpenAI's; ours, vLLM, SGLang and llama.cpp know it
    return {
        **({} if wish.model is None else {"model": wish.model}),
        "max_tokens": wish.max_tokens,
        "temperature": wish.temperature,
        "stream": True,
        "stream_options": {"include_usage": True},
        **more,
    }


def _completions_body(prompt: str, wish: Wish) -> dict[str, Any]:
    return {"prompt": prompt, **_openai_body(wish)}


def _chat_body(prompt: str, wish: Wish) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": prompt}], **_openai_body(wish)}


def _completions_read(content: Mapping[str, Any]) -> Heard:
    return _openai_heard(content, lambda choice: bool(choice["text"]))


def _chat_read(content: Mapping[str, Any]) -> Heard:
    return _openai_heard(content, _says_something)


def _says_something(choice: Mapping[str, Any]) -> bool:
    # Many servers announce the role in an event of its own, before there is a token. Thoughts have names of their own.
    delta = choice["delta"]
    return any(delta.get(name) for name in ("content", "reasoning_content", "reasoning"))


def _openai_heard(content: Mapping[str, Any], says: Callable[[Mapping[str, Any]], bool]) -> Heard:
    choices, usage = content["choices"], content.get("usage") or {}
    return Heard(
        token=any(says(choice) for choice in choices),
        over=any(choice.get("finish_reason") for choice in choices),
        prompt_tokens=usage.get("prompt_tokens"),
        tokens=usage.get("completion_tokens"),
    )


DIALECTS: Mapping[str, Dialect] = {
    "generate": Dialect("/api/v1/generate", _generate_body, _generate_read),
    "completions": Dialect("/v1/completions", _completions_body, _completions_read),
    "chat": Dialect("/v1/chat/completions", _chat_body, _chat_read),
}
