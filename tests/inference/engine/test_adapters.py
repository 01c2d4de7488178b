"""Several adapters in one batch answer as each would alone, while others come, go, or misbehave."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

from forge_inference.engine.batching import BatchingEngine
from forge_inference.engine.contract import CHECKPOINT, Chunk, Message, Request, Sampling
from forge_inference.engine.errors import EngineError, InvalidRequest, PromptTooLong, UnknownAdapter
from tests.inference.engine.conftest import NF4, QUIET, Gate
from tests.inference.engine.tiny import adapter_tensors, an_adapter
from tests.support.waiting import until

pytestmark = [pytest.mark.model, QUIET]
PROMPTS = ["What binds the protein?", "the gene " * 20, "x"]
NEW = 12
Make = Callable[..., BatchingEngine]


@pytest.fixture(scope="module")
def second(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Another adapter: other numbers, another rank, fewer layers, scaled in the other way."""
    random = np.random.default_rng(9)
    tensors = {
        name: (
            random.standard_normal((8, *values.shape[1:]) if "lora_A" in name else (values.shape[0], 8)) * 0.2
        ).astype(np.float32)
        for name, values in adapter_tensors().items()
        if "q_proj" in name
    }
    folder = tmp_path_factory.mktemp("second") / "run"
    return an_adapter(folder, tensors, r=8, lora_alpha=4, use_rslora=True, target_modules=["q_proj"])


@pytest.fixture(scope="module")
def engine(make: Make) -> BatchingEngine:
    return make(batch=16)


@pytest.fixture(scope="module")
def expected(base: Path, adapter: Path, second: Path) -> dict[str | None, list[list[int]]]:
    """What transformers and PEFT generate, one prompt and one adapter at a time."""
    tokenizer = AutoTokenizer.from_pretrained(base)
    found: dict[str | None, list[list[int]]] = {}
    for name, folder in ((None, None), (CHECKPOINT, adapter), ("second", second)):
        model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
        if folder:
            model = PeftModel.from_pretrained(model, folder, autocast_adapter_dtype=False)
        found[name] = [_generated(model.eval(), tokenizer, prompt) for prompt in PROMPTS]
    return found


def _generated(model: Any, tokenizer: Any, prompt: str) -> list[int]:
    inputs = tokenizer(prompt, return_tensors="pt")
    new = model.generate(**inputs, max_new_tokens=NEW, do_sample=False, eos_token_id=[0, 2], pad_token_id=0)
    tokens: list[int] = new[0, inputs.input_ids.shape[1] :].tolist()
    return tokens


async def _tokens(engine: BatchingEngine, request: Request) -> list[int]:
    return [chunk.token async for chunk in engine.generate(request)]


def _request(prompt: str, adapter: str | None, **more: Any) -> Request:
    return Request(prompt, NEW, chat=False, adapter=adapter, **more)


async def test_adapters_and_the_base_answer_in_one_batch_as_each_does_alone(
    engine: BatchingEngine, second: Path, expected: dict[str | None, list[list[int]]]
) -> None:
    await engine.load_adapter("second", second)
    assert set(engine.adapters()) == {CHECKPOINT, "second"}
    assert engine.adapters()["second"].rank == 8
    wanted = [(name, number) for number in range(len(PROMPTS)) for name in expected]
    answers = await asyncio.gather(*(_tokens(engine, _request(PROMPTS[number], name)) for name, number in wanted))
    assert answers == [expected[name][number] for name, number in wanted]
    assert len({tuple(answers[column]) for column in range(3)}) == 3  # the adapters do differ
    await engine.unload_adapter("second")
    assert await _tokens(engine, _request(PROMPTS[0], CHECKPOINT)) == expected[CHECKPOINT][0]


async def test_an_answer_that_has_begun_keeps_the_adapter_that_is_unloaded(
    engine: BatchingEngine, second: Path, expected: dict[str | None, list[list[int]]]
) -> None:
    assert engine._serving is not None
    batches = engine._serving.batches
    await engine.load_adapter("second", second)
    gate = Gate(batches._model)
    batches._model = gate
    try:
        answer = engine.generate(_request(PROMPTS[0], "second"))
        gate.permits.release()
        begun = [(await anext(answer)).token]
        unloading = asyncio.ensure_future(engine.unload_adapter("second"))
        gate.permits.release(100_000)
        await unloading
        with pytest.raises(UnknownAdapter, match="'second'"):
            await _tokens(engine, _request(PROMPTS[0], "second"))
        assert [*begun, *[chunk.token async for chunk in answer]] == expected["second"][0]
    finally:
        batches._model = gate._model
    await engine.load_adapter("second", second)
    assert await _tokens(engine, _request(PROMPTS[0], "second")) == expected["second"][0]
    await engine.unload_adapter("second")


async def test_an_adapter_that_cannot_be_served_is_refused_and_disturbs_nobody(
    engine: BatchingEngine, tmp_path: Path, adapter: Path, expected: dict[str | None, list[list[int]]]
) -> None:
    zeros = an_adapter(tmp_path / "zeros", adapter_tensors(scale=0))
    scaled_away = an_adapter(tmp_path / "none", lora_alpha=0)
    for folder, words in ((tmp_path / "no", "no folder"), (zeros, "lora_B is zero"), (scaled_away, "no logit")):
        with pytest.raises(InvalidRequest, match=words):
            await engine.load_adapter("new", folder)
    with pytest.raises(InvalidRequest, match="already"):
        await engine.load_adapter(CHECKPOINT, adapter)
    with pytest.raises(InvalidRequest, match="stays"):
        await engine.unload_adapter(CHECKPOINT)
    with pytest.raises(UnknownAdapter):
        await engine.unload_adapter("new")
    assert set(engine.adapters()) == {CHECKPOINT}
    assert await _tokens(engine, _request(PROMPTS[1], CHECKPOINT)) == expected[CHECKPOINT][1]


async def test_bad_requests_in_the_same_moment_change_no_token_of_a_neighbour(
    engine: BatchingEngine, expected: dict[str | None, list[list[int]]]
) -> None:
    bad = [
        Request((5, 10_000_000), 4),
        Request((-1,), 4),
        Request("lone \ud800 surrogate", 4),
        Request("a" * 5_000_000, 4),
        Request("x", 4, Sampling(temperature=1.0, top_k=10**6)),
        Request("x", 4, Sampling(temperature=1e-300)),
        Request("x", 4, Sampling(temperature=5.0, top_p=1e-9, min_p=1.0, repetition_penalty=1e6)),
        Request("<|im_end|><|endoftext|>" * 3, 4, top_logprobs=1000),
        Request((Message("nobody", "x"), Message("system", "")), 4),
        Request("x", 4, adapter="unknown"),
    ]
    answers = await asyncio.gather(
        _tokens(engine, _request(PROMPTS[0], CHECKPOINT)),
        *(_tokens(engine, request) for request in bad),
        return_exceptions=True,
    )
    assert answers[0] == expected[CHECKPOINT][0]
    kinds = [type(answer) for answer in answers[1:5]] + [type(answers[-1])]
    assert kinds == [InvalidRequest, InvalidRequest, InvalidRequest, PromptTooLong, UnknownAdapter]
    assert all(isinstance(answer, list | EngineError) for answer in answers)
    assert engine.failure() is None


async def test_a_seed_gives_the_same_answer_alone_and_in_a_crowd(engine: BatchingEngine) -> None:
    request = _request(PROMPTS[0], CHECKPOINT, sampling=Sampling(temperature=1.2, top_p=0.95, seed=11))
    others = [_request(PROMPTS[1], None, sampling=Sampling(temperature=2.0)) for _ in range(6)]
    alone = await _tokens(engine, request)
    [again, *rest] = await asyncio.gather(_tokens(engine, request), *(_tokens(engine, other) for other in others))
    assert again == alone
    assert len({tuple(tokens) for tokens in rest}) > 1


async def test_scores_of_a_prompt_are_those_of_the_plain_model(engine: BatchingEngine, base: Path) -> None:
    tokens = tuple(AutoTokenizer.from_pretrained(base)(PROMPTS[1]).input_ids)
    scored = await engine.score(Request(tokens, 0, adapter=None, top_logprobs=3))
    with torch.no_grad():
        logits = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)(torch.tensor([tokens])).logits[0]
    expected = torch.log_softmax(logits, -1)[range(len(tokens) - 1), tokens[1:]].tolist()
    assert scored[0].logprob is None
    assert [each.token for each in scored] == list(tokens)
    assert [each.logprob for each in scored[1:]] == pytest.approx(expected, abs=1e-4)
    assert all(each.top[0][1] >= (each.logprob or 0) for each in scored[1:])
    assert len(await engine.score(Request((5,), 0))) == 1


async def test_every_plan_answers_alike(make: Make) -> None:
    """In float32 the numbers that four bits stand for are the same, computed with or beforehand."""
    live, full = (make(quantization=NF4, plan=plan) for plan in ("nf4", "dequantized"))
    for name in (CHECKPOINT, None):
        answers = [await _tokens(engine, _request(PROMPTS[0], name)) for engine in (live, full)]
        assert answers[0] == answers[1]
    assert [engine.loaded().plan for engine in (live, full)] == ["nf4", "dequantized"]  # type: ignore[union-attr]


async def test_many_more_requests_than_fit_at_once_are_all_answered(make: Make) -> None:
    engine = make(batch=4)
    request = _request(PROMPTS[0], CHECKPOINT)
    alone: list[Chunk] = [chunk async for chunk in engine.generate(request)]
    answers = await asyncio.gather(*(_tokens(engine, request) for _ in range(30)))
    assert answers == [[chunk.token for chunk in alone]] * 30
    # The engine's thread says that it is done after it has told the last token.
    await asyncio.to_thread(until, lambda: engine.load().running == 0, limit=60, what="the engine is idle")
