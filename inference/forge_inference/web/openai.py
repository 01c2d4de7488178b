"""What the OpenAI-compatible routes share: fields, nulls, what is ignored, and their times and ids."""

import time
from typing import Annotated, Any, Literal, Self
from uuid import uuid4

from pydantic import BaseModel, ConfigDict, Field, model_validator

from forge_inference.engine.contract import Chunk, Message, Sampling
from forge_inference.web.schemas import Stop

IGNORED = "x-ignored-parameters"
# What clients send as a matter of course and which changes no answer.
_HARMLESS = {"user", "metadata", "store", "service_tier", "safety_identifier", "prompt_cache_key"}


class Part(BaseModel):
    """A piece of a message."""

    type: Literal["text"]
    text: str


class Turn(BaseModel):
    """A message of a conversation."""

    role: Annotated[str, Field(min_length=1, max_length=64)]
    content: str | list[Part] | None = None

    def message(self) -> Message:
        """Its parts as one text."""
        content = self.content or ""
        return Message(self.role, content if isinstance(content, str) else "".join(part.text for part in content))


class StreamOptions(BaseModel):
    """Of a stream."""

    include_usage: bool | None = None


class ResponseFormat(BaseModel):
    """Only text is served: nothing here constrains what the model writes."""

    type: Literal["text"]


class Parameters(BaseModel):
    """Fields of both routes. A null is as good as absent; unknown fields are ignored and named in a header."""

    model_config = ConfigDict(extra="allow")

    model: str | None = Field(None, max_length=256)
    max_tokens: int | None = Field(None, ge=0, le=1_048_576)
    temperature: float | None = Field(None, ge=0, le=5, description="default 1, as clients of this API expect")
    top_p: float | None = Field(None, gt=0, le=1)
    top_k: int | None = Field(None, ge=-1)
    min_p: float | None = Field(None, ge=0, le=1)
    repetition_penalty: float | None = Field(None, gt=0, le=10)
    presence_penalty: float | None = Field(None, ge=-2, le=2)
    frequency_penalty: float | None = Field(None, ge=-2, le=2)
    n: int | None = Field(None, ge=1, le=32)
    seed: int | None = None
    stop: Stop | Annotated[list[Stop], Field(max_length=16)] | None = None
    ignore_eos: bool | None = Field(None, description="go on to the last token, for measurements")
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    response_format: ResponseFormat | None = None

    @model_validator(mode="after")
    def _warm_or_greedy(self) -> Self:
        if self.temperature is not None and 0 < self.temperature < 1e-3:
            raise ValueError("temperature must be 0, or at least 0.001")
        return self

    def ignored(self) -> dict[str, str]:
        """The header that names what was sent and not understood."""
        sent = self.model_extra or {}
        names = sorted(name for name, value in sent.items() if value is not None and name not in _HARMLESS)
        return (
            {IGNORED: ", ".join(name.encode("ascii", "replace").decode()[:64] for name in names[:32])} if names else {}
        )

    def sampling(self, number: int) -> Sampling:
        """Of the answer with this number: each has a seed of its own."""
        return Sampling(
            temperature=1.0 if self.temperature is None else self.temperature,
            top_p=self.top_p or 1.0,
            top_k=max(0, self.top_k or 0),
            min_p=self.min_p or 0.0,
            repetition_penalty=self.repetition_penalty or 1.0,
            presence_penalty=self.presence_penalty or 0.0,
            frequency_penalty=self.frequency_penalty or 0.0,
            seed=None if self.seed is None else self.seed + number,
        )

    def stops(self) -> tuple[str, ...]:
        """As the engine takes them."""
        return (self.stop,) if isinstance(self.stop, str) else tuple(self.stop or ())

    @property
    def tells_usage(self) -> bool:
        """Whether a stream ends with the counts of tokens."""
        return bool(self.stream_options and self.stream_options.include_usage)


def head(kind: str, model: str, prefix: str) -> dict[str, Any]:
    """What every answer and every event of it begins with."""
    return {"id": f"{prefix}-{uuid4().hex}", "object": kind, "created": int(time.time()), "model": model}


def usage(prompt: int, completion: int) -> dict[str, int]:
    return {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}


def shown(chunks: list[Chunk]) -> list[Chunk]:
    """Those whose tokens are part of the answer."""
    return [chunk for chunk in chunks if not chunk.closing]
