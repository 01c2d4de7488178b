"""Bodies of requests and answers; what /docs shows."""

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

Text = Annotated[str, StringConstraints(min_length=1, max_length=1_000_000)]
Stop = Annotated[str, StringConstraints(min_length=1, max_length=256)]


class Generate(BaseModel):
    """A prompt, or a list of prompts that are answered in order."""

    model_config = ConfigDict(extra="forbid")

    model: str | None = Field(None, max_length=256, description="one of /v1/models; default: the served adapter")
    text: Text | Annotated[list[Text], Field(min_length=1, max_length=64)]
    max_new_tokens: int | None = Field(None, ge=1, le=1_048_576, description="default 256")
    max_length: int | None = Field(None, ge=1, le=1_048_576, description="another name of max_new_tokens")
    temperature: float = Field(0.0, ge=0, le=5, description="0: the likeliest token each time")
    top_p: float = Field(1.0, gt=0, le=1)
    top_k: int = Field(0, ge=0, description="0: the whole vocabulary")
    min_p: float = Field(0.0, ge=0, le=1, description="drop what is less likely than this part of the likeliest")
    repetition_penalty: float = Field(1.0, gt=0, le=10, description="of tokens in prompt and answer")
    presence_penalty: float = Field(0.0, ge=-2, le=2, description="of tokens in the answer")
    frequency_penalty: float = Field(0.0, ge=-2, le=2, description="the same, for each time")
    seed: int | None = Field(None, ge=0, le=2**63 - 1, description="the same seed gives the same answer")
    stop: Stop | Annotated[list[Stop], Field(max_length=16)] = Field(default_factory=list)
    use_adapter: bool = Field(True, description="false: the base model alone")
    chat: bool = Field(True, description="through the base model's chat template, when it has one")
    stream: bool = Field(False, description="server-sent events, token by token")
    logprobs: bool = Field(False, description="tell the log-probability of each token")
    preprocess: Literal["none", "scientific"] = Field("none", description="scientific: ask with the text as it is read")
    strip_citations: bool = Field(False, description="with preprocess: without [1,2], (Smith, 2019) and the like")

    @model_validator(mode="after")
    def _one_length(self) -> Self:
        if self.max_new_tokens is not None and self.max_length is not None:
            raise ValueError("max_new_tokens and max_length mean the same: give one")
        if 0 < self.temperature < 1e-3:
            raise ValueError("temperature must be 0, or at least 0.001")
        if self.strip_citations and self.preprocess == "none":
            raise ValueError("strip_citations: it is a step of preprocess scientific")
        return self

    @property
    def new_tokens(self) -> int:
        """The most tokens of one answer."""
        return self.max_new_tokens or self.max_length or 256


class Confidence(BaseModel):
    """The geometric mean of the answer's token probabilities: good for ranking, not a chance of being right."""

    value: float = Field(description="exp(mean log-probability)")
    method: Literal["sequence_logprob"] = "sequence_logprob"
    calibrated: Literal[False] = False
    n_tokens: int


class Result(BaseModel):
    """One prompt's answer, or `error`."""

    index: int
    text: str | None = None
    finish_reason: Literal["stop", "length"] | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    mean_logprob: float | None = None
    confidence: Confidence | None = None
    preprocessing: dict[str, int] | None = None  # how often each step of cleaning changed the prompt
    logprobs: list[float] | None = Field(None, description="natural logarithm, at temperature 1, before any filter")
    error: dict[str, Any] | None = None


class Answer(BaseModel):
    """Answers in the order of the prompts, and where they come from."""

    id: str
    model: str
    results: list[Result]
    usage: dict[str, int]
    timing_ms: float
    provenance: dict[str, Any]
