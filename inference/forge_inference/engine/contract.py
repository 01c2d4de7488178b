"""What the web room may ask of an engine, and what it gets back. Imports no torch."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Literal, Protocol

from forge_inference.checkpoint.watch import Watched

FinishReason = Literal["stop", "length"]


@dataclass(frozen=True, slots=True)
class Sampling:
    """How the next token is chosen. `temperature` 0 is greedy."""

    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0  # 0: the whole vocabulary
    min_p: float = 0.0  # drops what is less likely than this part of the likeliest
    repetition_penalty: float = 1.0  # divides the logits of tokens in prompt and answer
    presence_penalty: float = 0.0  # taken from the logit of each token that the answer has
    frequency_penalty: float = 0.0  # the same, as often as the answer has it
    seed: int | None = None


MOST_ADAPTERS = 64  # at once
CHECKPOINT = ""  # the adapter that the server was started with, whatever it is called


@dataclass(frozen=True, slots=True)
class Message:
    """One turn of a conversation."""

    role: str
    content: str


@dataclass(frozen=True, slots=True)
class Request:
    """One prompt: a question, a conversation, or token ids."""

    prompt: str | tuple[Message, ...] | tuple[int, ...]
    max_new_tokens: int | None  # None: as many as the model has room for
    sampling: Sampling = field(default_factory=Sampling)
    stop: tuple[str, ...] = ()
    chat: bool = True  # render a question through the base model's chat template, when it has one
    adapter: str | None = CHECKPOINT  # None: the base model alone
    ignore_eos: bool = False  # go on to the last token, for measurements
    top_logprobs: int = 0  # how many of the likeliest tokens to tell with each token
    patient: bool = False  # others go first: of long work that nobody waits for token by token


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
    top: tuple[tuple[int, float], ...] = ()  # the likeliest tokens and their raw log-probabilities
    waited: float = 0.0  # seconds in the queue; told with the first chunk


@dataclass(frozen=True, slots=True)
class Scored:
    """A token of a prompt, its raw log-probability given the tokens before it, and the likeliest with theirs."""

    token: int
    logprob: float | None  # None: the first
    top: tuple[tuple[int, float], ...]


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Facts about the checkpoint that is loaded. A whole model has neither rank nor alpha."""

    digest: str  # sha256:… over the weights and their configuration
    base_model: str | None
    rank: int | None
    alpha: float | None
    target_modules: tuple[str, ...]
    kind: Literal["adapter", "model"] = "adapter"
    folder: str = "."  # inside the folder that was named
    trainer: str | None = None
    step: int | None = None
    evaluation_loss: float | None = None
    quantization_match: Literal["Match", "Mismatch", "Unknown"] = "Unknown"  # of training and serving
    watched: Watched | None = None  # the files on disk
    revision: str | None = None  # of what was fetched, where the source has versions
    content_digest: str | None = None  # sha256:… over all files that were fetched


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


ComputeDtype = Literal["bfloat16", "float16", "float32"]


@dataclass(frozen=True, slots=True)
class Quantization:
    method: Literal["nf4", "none"]
    double_quant: bool
    compute_dtype: ComputeDtype


# How a base model that is quantised is computed with: in four bits, or in full from what the four bits mean.
Plan = Literal["plain", "nf4", "dequantized"]


# How steps are computed in which each answer has one token: from a table of where the cache has its keys and values
# (own kernels, recorded), from all keys and values gathered (recorded, or kernel by kernel).
Steps = Literal["table", "recorded", "packed"]


@dataclass(frozen=True, slots=True)
class Loaded:
    """What the engine serves, once it serves."""

    checkpoint: Checkpoint
    plan: Plan
    quantization: Quantization
    effect: AdapterEffect | None  # None: a whole model
    probe: Probe
    device: str  # cpu, cuda:0 …
    load_seconds: float
    base_digest: str  # sha256:… by which the base model is known again; checkpoint/identity.py
    tokenizer: Path | None = None  # its folder; None: the base model's
    steps: Steps = "packed"


@dataclass(frozen=True, slots=True)
class Load:
    """How busy the engine is now."""

    waiting: int
    running: int
    max_queue: int
    cache_used: float = 0.0  # the part of the cache for keys and values that holds something, 0 to 1
    adapters_running: tuple[str, ...] = ()  # names that running requests use
    steps: int = 0  # of the batch, since the start
    stepped: int = 0  # prompts over all steps


class Engine(Protocol):
    """Generates. Every method may be called from the event loop and returns at once."""

    def start(self) -> None:
        """Begin loading in the engine's own thread."""

    def alive(self) -> bool:
        """Whether the engine's thread runs and its heart beats."""

    def failure(self) -> Exception | None:
        """Why loading or the thread ended, if it did."""

    def stage(self) -> str:
        """What is being done before it serves, in a few words."""

    def loaded(self) -> Loaded | None:
        """What is served; None while loading. Set only after the probe answered and the adapter proved effective."""

    def load(self) -> Load: ...

    def generate(self, request: Request) -> AsyncGenerator[Chunk, None]:
        """At least one chunk; the last has `finish`. Closing the generator frees the slot within one step.

        Raises (before the first chunk): NotReady, Overloaded, PromptTooLong, InvalidRequest, UnknownAdapter;
        later: DeadlineExceeded, EngineFailed. All are `engine.errors.EngineError`.
        """

    @property
    def max_model_len(self) -> int:
        """Tokens of a prompt and its answer together."""

    async def score(self, request: Request) -> tuple[Scored, ...]:
        """The prompt's tokens and how likely each was; nothing is generated. Raises as `generate` does."""

    async def tokenize(self, request: Request) -> list[int]:
        """The prompt's tokens, as they would be given to the model. Raises as `generate` does."""

    def text_of(self, tokens: Sequence[int]) -> str:
        """What these tokens say, control tokens included. Raises NotReady."""

    def tokenizer_info(self) -> dict[str, object]:
        """The tokenizer's class, its control tokens and the chat template. Raises NotReady."""

    def adapters(self) -> Mapping[str, Checkpoint]:
        """What is loaded beside the base model, by name; CHECKPOINT is what the server was started with."""

    async def load_adapter(self, name: str, folder: Path) -> None:
        """Serve one more adapter, while requests run. Raises InvalidRequest with what is wrong with it."""

    async def unload_adapter(self, name: str) -> None:
        """Serve it no more; answers that have begun are finished. Raises UnknownAdapter."""

    def stop(self) -> None:
        """Finish nothing more and end the thread."""


@dataclass(frozen=True, slots=True)
class Offer:
    """A checkpoint that is to be served instead of the present one."""

    checkpoint: Path
    quantize: bool | None = None  # the base model, in memory; None: as the server was started


@dataclass(frozen=True, slots=True)
class Served:
    """A model by its name, and what of it is loaded."""

    name: str
    loaded: Loaded | None


@dataclass(slots=True)
class Offered:
    """What became of an offer so far.

    loading: the model of before answers; finishing: the new one does, and the one of before finishes what it has
    begun; done: that one's memory is free; failed: the one of before answers as if nothing had been offered.
    """

    offer: Offer
    before: Served
    started: datetime
    state: Literal["loading", "finishing", "done", "failed"] = "loading"
    stage: str = "starting"  # what is being done, in a few words
    ended: datetime | None = None
    after: Served | None = None  # from the moment when it answers
    failure: Exception | None = None


class Exchangeable(Engine, Protocol):
    """An engine whose model can be exchanged for another one while it serves."""

    @property
    def name(self) -> str:
        """Of the model that is served."""

    def held(self) -> AbstractContextManager[None]:
        """Whatever is asked in this context is asked of the model that is present now, however soon another follows."""

    def offer(self, offer: Offer) -> None:
        """Load this checkpoint and serve it once it is proved. Raises Busy, NotReady, EngineFailed."""

    def offered(self) -> Offered | None:
        """What became of the last offer; None before the first."""
