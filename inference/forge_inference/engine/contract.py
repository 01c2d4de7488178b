"""What the web room may ask of an engine, and what it gets back. Imports no torch."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import Literal, Protocol

FinishReason = Literal["stop", "length"]


@dataclass(frozen=True, slots=True)
class Sampling:
    """How the next token is chosen. `temperature` 0 is greedy."""

    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0  # 0: the whole vocabulary
    seed: int | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """One prompt. `use_adapter` False answers with the base model alone."""

    prompt: str
    max_new_tokens: int
    sampling: Sampling = field(default_factory=Sampling)
    stop: tuple[str, ...] = ()
    chat: bool = True  # render the prompt through the base model's chat template, when it has one
    use_adapter: bool = True


@dataclass(frozen=True, slots=True)
class Chunk:
    """One generated token. The last chunk of a request has `finish`.

    `text` may be empty (the token does not end a character, or its text may begin a stop string). `closing` marks
    the token by which the model ends its turn: it is no part of the answer.
    `logprob` is the raw log-probability (natural logarithm, T=1, before top-p and top-k) of `token`.
    """

    text: str
    token: int
    logprob: float
    prompt_tokens: int
    closing: bool = False
    finish: FinishReason | None = None


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Facts about the adapter that is loaded."""

    digest: str  # sha256:… over every file that was read
    base_model: str | None
    rank: int
    alpha: float
    target_modules: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AdapterEffect:
    """The largest absolute difference of a next-token logit with and without the adapter."""

    max_abs_logit_delta: float

    @property
    def effective(self) -> bool:
        return self.max_abs_logit_delta > 0


@dataclass(frozen=True, slots=True)
class Probe:
    """The generation that was done before the engine called itself ready."""

    tokens: int
    milliseconds: int


@dataclass(frozen=True, slots=True)
class Quantization:
    method: Literal["nf4", "none"]
    double_quant: bool
    compute_dtype: Literal["bfloat16", "float16", "float32"]


@dataclass(frozen=True, slots=True)
class Loaded:
    """What the engine serves, once it serves."""

    checkpoint: Checkpoint
    quantization: Quantization
    effect: AdapterEffect
    probe: Probe
    device: str  # cpu, cuda:0 …
    load_seconds: float


@dataclass(frozen=True, slots=True)
class Load:
    """How busy the engine is now."""

    waiting: int
    running: int
    max_queue: int


class Engine(Protocol):
    """Generates. Every method may be called from the event loop and returns at once."""

    def start(self) -> None:
        """Begin loading in the engine's own thread."""

    def alive(self) -> bool:
        """Whether the engine's thread runs and its heart beats."""

    def failure(self) -> Exception | None:
        """Why loading or the thread ended, if it did."""

    def loaded(self) -> Loaded | None:
        """What is served; None while loading. Set only after the probe answered and the adapter proved effective."""

    def load(self) -> Load: ...

    def generate(self, request: Request) -> AsyncGenerator[Chunk, None]:
        """At least one chunk; the last has `finish`. Closing the generator frees the slot within one step.

        Raises (before the first chunk): NotReady, Overloaded, PromptTooLong, InvalidRequest;
        later: DeadlineExceeded, EngineFailed. All are `engine.errors.EngineError`.
        """

    def stop(self) -> None:
        """Finish nothing more and end the thread."""
