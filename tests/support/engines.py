"""An engine that says what a test tells it to."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from pathlib import Path

from forge_inference.engine.contract import (
    CHECKPOINT,
    AdapterEffect,
    Checkpoint,
    Chunk,
    Load,
    Loaded,
    Probe,
    Quantization,
    Request,
    Scored,
)
from forge_inference.engine.errors import InvalidRequest

LOADED = Loaded(
    checkpoint=Checkpoint("sha256:aa", "org/base", 8, 16.0, ("q_proj",)),
    plan="nf4",
    quantization=Quantization("nf4", True, "bfloat16"),
    effect=AdapterEffect(7.25),
    probe=Probe(8, 310),
    device="cpu",
    load_seconds=1.5,
    base_digest="sha256:bb",
)


class ScriptedEngine:
    """`script` gives the chunks of an answer, or raises; None: an answer that never comes."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.closed = asyncio.Event()
        self.goes_on = asyncio.Event()  # cleared: no chunk but the first comes
        self.goes_on.set()
        self.is_stopped = False
        self.beside: dict[str, Path] = {}
        self.checkpoints: dict[str, Checkpoint] = {}  # of adapters beside, where they are not as LOADED's
        self.refuses: set[str] = set()  # names of adapters
        self.script: Callable[[Request], list[Chunk]] | None = lambda request: [
            Chunk("HBB ", 5, -0.25, 3),
            Chunk("binds", 6, -0.75, 3),
            Chunk("", 0, -9.0, 3, closing=True, finish="stop"),
        ]
        self.tokens: Callable[[Request], list[int]] = lambda request: [1, 2, 3]
        self.scores: Callable[[Request], list[Scored]] | None = None
        self.info: dict[str, object] = {}
        self.state: Loaded | None = LOADED
        self.is_alive = True
        self.why: Exception | None = None

    def start(self) -> None: ...

    def stop(self) -> None:
        self.is_stopped = True

    def alive(self) -> bool:
        return self.is_alive

    def failure(self) -> Exception | None:
        return self.why

    def stage(self) -> str:
        return "reading its part"

    def loaded(self) -> Loaded | None:
        return self.state

    def load(self) -> Load:
        return Load(0, 0, 64)

    max_model_len = 2048

    async def score(self, request: Request) -> tuple[Scored, ...]:
        if self.scores is None:
            raise NotImplementedError
        return tuple(self.scores(request))

    async def tokenize(self, request: Request) -> list[int]:
        return self.tokens(request)

    def text_of(self, tokens: Sequence[int]) -> str:
        return " ".join(map(str, tokens))

    def tokenizer_info(self) -> dict[str, object]:
        return self.info

    def adapters(self) -> Mapping[str, Checkpoint]:
        if self.state is None:
            return {}
        beside = {name: self.checkpoints.get(name, LOADED.checkpoint) for name in self.beside}
        return {CHECKPOINT: self.state.checkpoint, **beside}

    async def load_adapter(self, name: str, folder: Path) -> None:
        if name in self.refuses:
            raise InvalidRequest("it does not fit.")
        self.beside[name] = folder

    async def unload_adapter(self, name: str) -> None:
        del self.beside[name]

    async def generate(self, request: Request) -> AsyncGenerator[Chunk, None]:
        self.requests.append(request)
        try:
            if self.script is None:
                await asyncio.Event().wait()
                return
            for chunk in self.script(request):
                yield chunk
                await self.goes_on.wait()
        finally:
            self.closed.set()
