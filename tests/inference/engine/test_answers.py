"""Our token loop gives what transformers' own gives, for base and adapter, plain and in four bits."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig, Gemma2Config, Gemma2ForCausalLM

from forge_inference.engine import serving
from forge_inference.engine.batching import BatchingEngine
from forge_inference.engine.contract import CHECKPOINT, Chunk, Quantization, Request
from forge_inference.engine.errors import InvalidRequest, LoadError, PromptTooLong
from tests.inference.engine.conftest import NF4, PLAIN, QUIET
from tests.inference.engine.tiny import RANK, a_base

pytestmark = [pytest.mark.model, QUIET]
PROMPT = "What binds the protein?"
RENDERED = f"<|im_start|>user\n{PROMPT}<|im_end|>\n<|im_start|>assistant\n"
Engines = Callable[[Quantization], BatchingEngine]


async def _all(engine: BatchingEngine, request: Request) -> list[Chunk]:
    return [chunk async for chunk in engine.generate(request)]


def _reference(base: Path, adapter: Path, quantization: Quantization) -> Any:
    config = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.float32,
    )
    model = AutoModelForCausalLM.from_pretrained(
        base, dtype=torch.float32, quantization_config=config if quantization == NF4 else None
    )
    return PeftModel.from_pretrained(model, adapter, autocast_adapter_dtype=False).eval()


@pytest.mark.parametrize("quantization", [PLAIN, NF4], ids=["float32", "NF4"])
async def test_greedy_answers_and_log_probabilities_are_those_of_transformers(
    engines: Engines, base: Path, adapter: Path, quantization: Quantization
) -> None:
    engine, model = engines(quantization), _reference(base, adapter, quantization)
    tokenizer = AutoTokenizer.from_pretrained(base)
    prompt = tokenizer(RENDERED, add_special_tokens=False, return_tensors="pt")
    answers = {}
    for use_adapter in (True, False):
        chunks = await _all(engine, Request(PROMPT, 24, adapter=CHECKPOINT if use_adapter else None))
        answers[use_adapter] = [chunk.token for chunk in chunks]
        if use_adapter:
            expected = _generated(model, prompt)
        else:
            with model.disable_adapter():
                expected = _generated(model, prompt)
        assert answers[use_adapter] == expected[0]
        assert [chunk.logprob for chunk in chunks] == pytest.approx(expected[1], abs=1e-4)
        assert {chunk.prompt_tokens for chunk in chunks} == {prompt.input_ids.shape[1]}
    assert answers[True] != answers[False]


async def test_layers_that_see_a_window_see_no_more_and_no_less(
    make: Callable[..., BatchingEngine], adapter: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Prompts of more tokens than the window, read whole and in parts, beside answers that have left theirs."""
    monkeypatch.setitem(serving._STEP, "cpu", 64)
    kind = {"architectures": ["MistralForCausalLM"], "model_type": "mistral", "sliding_window": 24}
    base = a_base(tmp_path / "model", config=kind)
    engine, model = make(base_model=base, longest=256), _reference(base, adapter, PLAIN)
    texts = ["What binds the protein? " * times for times in (1, 3, 6, 12, 18)]
    tokenizer = AutoTokenizer.from_pretrained(base)
    prompts = [tokenizer(text, add_special_tokens=False, return_tensors="pt") for text in texts]
    assert [prompt.input_ids.shape[1] > 24 for prompt in prompts] == [False, False, True, True, True]
    assert prompts[-1].input_ids.shape[1] > 64 + 8, "it is read in parts"
    answers = await asyncio.gather(*(_all(engine, Request(text, 24, chat=False, ignore_eos=True)) for text in texts))
    for prompt, chunks in zip(prompts, answers, strict=True):
        tokens, logprobs = _generated(model, prompt)
        assert [chunk.token for chunk in chunks][: len(tokens)] == tokens
        assert [chunk.logprob for chunk in chunks][: len(tokens)] == pytest.approx(logprobs, abs=1e-4)


def test_attention_that_is_not_computed_here_is_refused(make: Callable[..., BatchingEngine], tmp_path: Path) -> None:
    config = Gemma2Config(
        vocab_size=320,
        hidden_size=64,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        head_dim=32,
    )
    base, tuned = a_base(tmp_path / "base"), a_base(tmp_path / "tuned")
    for folder in (base, tuned):
        (folder / "model.safetensors").unlink()
        Gemma2ForCausalLM(config).save_pretrained(folder)
    failure = make(base_model=base, checkpoint=tuned).failure()
    assert isinstance(failure, LoadError)
    assert (failure.reason, str(failure)) == (
        "BaseModelMismatch",
        "The base model's attention bounds its scores, which is not supported.",
    )


def _generated(model: Any, prompt: Any) -> tuple[list[int], list[float]]:
    """New tokens and their log-probabilities."""
    found = model.generate(
        **prompt,
        max_new_tokens=24,
        do_sample=False,
        eos_token_id=[0, 2],
        pad_token_id=0,
        output_logits=True,
        return_dict_in_generate=True,
    )
    new = found.sequences[0, prompt.input_ids.shape[1] :]
    logprobs = torch.log_softmax(torch.stack(found.logits)[:, 0], dim=-1)
    return new.tolist(), logprobs[torch.arange(len(new)), new].tolist()


async def test_what_is_served_is_told(engines: Engines) -> None:
    loaded = engines(NF4).loaded()
    assert loaded is not None
    assert (loaded.checkpoint.rank, loaded.checkpoint.base_model) == (RANK, "lab/tiny")
    assert loaded.quantization == NF4
    assert loaded.effect.max_abs_logit_delta > 0.1
    assert loaded.probe.tokens == 8


async def test_the_last_chunk_alone_says_why_the_answer_ended(engine: BatchingEngine) -> None:
    chunks = await _all(engine, Request(PROMPT, 5))
    assert [chunk.finish for chunk in chunks] == [None, None, None, None, "length"]


async def test_the_token_that_ends_the_models_turn_is_marked_and_has_no_text(
    engine: BatchingEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokens = [chunk.token for chunk in await _all(engine, Request(PROMPT, 10))]
    assert engine._serving is not None
    assert engine._serving._closing == {0, 2}  # the tokenizer's <|endoftext|>, the template's <|im_end|>
    monkeypatch.setattr(engine._serving, "_closing", frozenset({tokens[4]}))
    chunks = await _all(engine, Request(PROMPT, 10))
    end = tokens.index(tokens[4])
    assert [chunk.token for chunk in chunks] == tokens[: end + 1]
    assert (chunks[-1].closing, chunks[-1].finish, chunks[-1].text) == (True, "stop", "")
    assert not any(chunk.closing for chunk in chunks[:-1])


async def test_nothing_is_shown_from_a_stop_string_on(engine: BatchingEngine) -> None:
    whole = "".join(chunk.text for chunk in await _all(engine, Request(PROMPT, 30)))
    stop = whole[len(whole) // 2 :][:3]
    chunks = await _all(engine, Request(PROMPT, 30, stop=("never seen", stop)))
    assert "".join(chunk.text for chunk in chunks) == whole[: whole.index(stop)]
    assert (chunks[-1].finish, chunks[-1].closing) == ("stop", False)


@pytest.mark.parametrize(
    ("request_", "error", "says"),
    [
        (Request("the gene " * 200, 1), PromptTooLong, "the 256 tokens that this model serves"),
        (Request("the gene", 256, chat=False), PromptTooLong, "max_new_tokens 256"),
        (Request("the gene", 0), InvalidRequest, "max_new_tokens"),
        (Request("the gene", 4, stop=("",)), InvalidRequest, "stop"),
        (Request("", 4, chat=False), InvalidRequest, "empty"),
    ],
    ids=["a long prompt", "a long answer", "no tokens", "an empty stop string", "an empty prompt"],
)
async def test_what_cannot_be_answered_is_refused_before_the_first_token(
    engine: BatchingEngine, request_: Request, error: type[Exception], says: str
) -> None:
    with pytest.raises(error, match=says):
        await _all(engine, request_)


async def test_prompt_and_answer_may_fill_the_model_to_the_last_token(engine: BatchingEngine) -> None:
    prompt = len(await engine.tokenize(Request("x", 1, chat=False)))
    assert len(await _all(engine, Request("x", 256 - prompt, chat=False, stop=()))) > 0
