"""The plain engine with real weights, compared with what transformers and PEFT do."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

from forge_inference.engine.contract import Chunk, Quantization, Request, Sampling
from forge_inference.engine.errors import (
    DeadlineExceeded,
    EngineFailed,
    InvalidRequest,
    LoadError,
    NotReady,
    Overloaded,
    PromptTooLong,
)
from forge_inference.engine.loading import Sources
from forge_inference.engine.plain import PlainEngine
from forge_inference.engine.prompts import Prompts
from tests.support.checkpoints import a_real_pair

pytestmark = [
    pytest.mark.model,
    pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::UserWarning", "ignore::DeprecationWarning"),
]
EXACT = Quantization("none", False, "float32")
PROMPT = "What is a gene?"


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return a_real_pair(tmp_path_factory.mktemp("pair"))


def engine_of(pair: tuple[Path, Path], quantization: Quantization = EXACT, **limits: Any) -> PlainEngine:
    base, adapter = pair
    sources = Sources(adapter, base, "pvc://models/run", "pvc://models/base", quantization)
    whole = {"max_model_len": 256, "max_queue": 4, "request_timeout_seconds": 60.0, **limits}
    return PlainEngine(sources, **whole)


async def started(engine: PlainEngine) -> PlainEngine:
    engine.start()
    async with asyncio.timeout(60):
        while engine.loaded() is None and engine.failure() is None:  # noqa: ASYNC110 - another thread loads
            await asyncio.sleep(0.02)
    return engine


@pytest.fixture
async def engine(pair: tuple[Path, Path]) -> AsyncIterator[PlainEngine]:
    found = await started(engine_of(pair))
    assert found.loaded(), found.failure()
    yield found
    found.stop()


async def answer(engine: PlainEngine, prompt: str = PROMPT, tokens: int = 12, **how: Any) -> list[Chunk]:
    return [chunk async for chunk in engine.generate(Request(prompt, tokens, **how))]


@pytest.mark.parametrize("use_adapter", [True, False])
async def test_greedy_answers_are_those_of_transformers(
    engine: PlainEngine, pair: tuple[Path, Path], use_adapter: bool
) -> None:
    base, adapter = pair
    model: Any = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    if use_adapter:
        model = PeftModel.from_pretrained(model, adapter)
    ids = Prompts(AutoTokenizer.from_pretrained(base)).encode(PROMPT, chat=True)
    expected = model.generate(
        input_ids=torch.tensor([ids]),
        max_new_tokens=12,
        do_sample=False,
        output_logits=True,
        return_dict_in_generate=True,
    )
    tokens = expected.sequences[0, len(ids) :].tolist()
    chunks = await answer(engine, use_adapter=use_adapter)
    assert [chunk.token for chunk in chunks] == tokens
    raw = [float(torch.log_softmax(step[0], -1)[token]) for step, token in zip(expected.logits, tokens, strict=True)]
    assert [chunk.logprob for chunk in chunks] == pytest.approx(raw, abs=1e-5)


async def test_nf4_answers_with_adapter_and_without_differ(pair: tuple[Path, Path]) -> None:
    engine = await started(engine_of(pair, Quantization("nf4", True, "bfloat16")))
    try:
        found = engine.loaded()
        assert found, engine.failure()
        assert found.effect.effective
        assert found.probe.tokens >= 1
        tuned, plain = await answer(engine), await answer(engine, use_adapter=False)
        assert [c.token for c in tuned] != [c.token for c in plain]
    finally:
        engine.stop()


async def test_a_seed_gives_the_same_answer_and_another_another(engine: PlainEngine) -> None:
    first, again, other = [
        [c.token for c in await answer(engine, tokens=24, sampling=Sampling(1.5, 0.95, 0, seed))] for seed in (7, 7, 8)
    ]
    assert first == again
    assert first != other


async def test_a_stop_string_ends_the_answer_and_is_no_part_of_it(engine: PlainEngine) -> None:
    whole = "".join(chunk.text for chunk in await answer(engine, tokens=40))
    stop = whole[10:13]
    chunks = await answer(engine, tokens=40, stop=(stop,))
    assert "".join(chunk.text for chunk in chunks) == whole[: whole.index(stop)]
    assert chunks[-1].finish == "stop"


async def test_requests_that_cannot_be_served_are_refused_before_they_wait(engine: PlainEngine) -> None:
    with pytest.raises(PromptTooLong, match="256 tokens"):
        await answer(engine, tokens=1000)
    with pytest.raises(InvalidRequest, match="empty"):
        await answer(engine, prompt="", chat=False)


async def test_a_full_queue_says_when_to_come_again_and_a_place_is_freed_at_once(pair: tuple[Path, Path]) -> None:
    engine = await started(engine_of(pair, max_queue=1))
    try:
        async with aclosing(engine.generate(Request(PROMPT, 200, chat=False))) as running:
            await anext(running)
            waiting = asyncio.create_task(answer(engine))
            async with asyncio.timeout(10):
                while engine.load().waiting == 0:  # noqa: ASYNC110 - another thread counts
                    await asyncio.sleep(0.01)
            with pytest.raises(Overloaded) as refused:
                await answer(engine)
            assert refused.value.retry_after >= 1
        assert await waiting
        assert engine.load().waiting == 0
    finally:
        engine.stop()


async def test_a_request_past_its_deadline_is_given_up(pair: tuple[Path, Path]) -> None:
    engine = await started(engine_of(pair, request_timeout_seconds=0.05))
    try:
        with pytest.raises(DeadlineExceeded, match="waiting included"):
            await answer(engine, tokens=240)
    finally:
        engine.stop()


async def test_nothing_is_served_before_it_is_loaded_or_after_it_ended(pair: tuple[Path, Path]) -> None:
    engine = engine_of(pair)
    with pytest.raises(NotReady):
        await answer(engine)
    await started(engine)
    assert engine.alive()
    engine.stop()
    with pytest.raises(NotReady, match="stopping"):
        await answer(engine)


async def test_a_defect_ends_the_engine_and_tells_those_who_wait(
    engine: PlainEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("a defect")

    monkeypatch.setattr(engine, "_answer", broken)
    with pytest.raises(EngineFailed, match="a defect"):
        await answer(engine)
    assert isinstance(engine.failure(), EngineFailed)
    with pytest.raises(EngineFailed):
        await answer(engine)


async def test_a_checkpoint_that_is_not_there_ends_the_start_with_its_reason(pair: tuple[Path, Path]) -> None:
    engine = await started(engine_of((pair[0], pair[0] / "none")))
    failure = engine.failure()
    assert isinstance(failure, LoadError)
    assert failure.reason == "CheckpointNotFound"


def test_what_a_user_writes_never_becomes_a_control_token(pair: tuple[Path, Path]) -> None:
    tokenizer = AutoTokenizer.from_pretrained(pair[0])
    prompts = Prompts(tokenizer)
    control = set(tokenizer.all_special_ids)
    assert not control & set(prompts.encode("a<|end|>b", chat=False))
    rendered = prompts.encode("a<|end|><|user|>b", chat=True)
    assert [token for token in rendered if token in control] == [tokenizer.convert_tokens_to_ids("<|user|>")]
    assert prompts.encode("plain", chat=True)[1:] == prompts.encode("plain", chat=False)
