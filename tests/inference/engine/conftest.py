"""One tiny engine per quantisation for all tests; those that break an engine make their own."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from forge_inference.engine.batching import BatchingEngine
from forge_inference.engine.contract import Plan, Quantization
from forge_inference.engine.loading import Sources
from tests.inference.engine.tiny import a_base, an_adapter
from tests.support.waiting import until

# PEFT asks transformers 5.23 by the old name; nothing of ours can change that.
QUIET = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")
PLAIN = Quantization("none", double_quant=False, compute_dtype="float32")
NF4 = Quantization("nf4", double_quant=True, compute_dtype="float32")


class Gate:
    """Stands before the model: each step waits for a permit, and `broken` is raised instead of a step."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self.permits = threading.Semaphore(0)
        self.steps = 0
        self.broken: BaseException | None = None

    def __call__(self, **inputs: Any) -> Any:
        self.steps += 1
        assert self.permits.acquire(timeout=30)
        if self.broken:
            raise self.broken
        return self._model(**inputs)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return a_base(tmp_path_factory.mktemp("base") / "model")


@pytest.fixture(scope="session")
def adapter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return an_adapter(tmp_path_factory.mktemp("adapter") / "run")


@pytest.fixture(scope="session")
def make(base: Path, adapter: Path) -> Iterator[Callable[..., BatchingEngine]]:
    """Makes an engine and waits until it serves or has failed; all are stopped at the end."""
    made = []

    def _make(
        *,
        quantization: Quantization = PLAIN,
        checkpoint: Path = adapter,
        checkpoint_uri: str = "pvc://models/run",
        base_model: Path = base,
        longest: int = 256,
        batch: int = 8,
        plan: Plan | None = None,
    ) -> BatchingEngine:
        sources = Sources(checkpoint, base_model, checkpoint_uri, "pvc://models/base", quantization, plan)
        engine = BatchingEngine(
            sources,
            max_model_len=longest,
            max_queue=2 if batch == 1 else 64,
            max_batch=batch,
            request_timeout_seconds=60,
        )
        made.append(engine)
        engine.start()
        until(lambda: engine.loaded() or engine.failure(), limit=60, what="the engine serves")
        return engine

    yield _make
    for engine in made:
        engine.stop()


@pytest.fixture(scope="session")
def engines(make: Callable[..., BatchingEngine]) -> Callable[[Quantization], BatchingEngine]:
    """The shared engine of a quantisation."""
    known: dict[Quantization, BatchingEngine] = {}

    def _get(quantization: Quantization) -> BatchingEngine:
        if quantization not in known:
            known[quantization] = make(quantization=quantization)
        return known[quantization]

    return _get


@pytest.fixture
def engine(engines: Callable[[Quantization], BatchingEngine]) -> BatchingEngine:
    """Not quantised, float32."""
    return engines(PLAIN)


@pytest.fixture
def gate(engine: BatchingEngine) -> Iterator[Gate]:
    """The shared engine's steps, one by one. Afterwards every step may go on."""
    assert engine._serving is not None
    batches = engine._serving.batches
    model = batches._model
    gate = batches._model = Gate(model)
    yield gate
    gate.permits.release(100_000)
    batches._model = model
    until(lambda: engine.load().running == 0, limit=30, what="the engine is idle")
