"""On a GPU the batch computes what transformers and PEFT compute there, on every plan; skipped where there is none."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig

from forge_inference.engine import kernels
from forge_inference.engine.batching import BatchingEngine
from forge_inference.engine.contract import CHECKPOINT, Plan, Quantization, Request
from forge_inference.telemetry.gpu import Gpus
from tests.inference.engine.conftest import QUIET

pytestmark = [
    pytest.mark.model,
    QUIET,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU that CUDA can use here"),
]
PROMPTS = ["What binds the protein?", "the gene " * 60, "x"]
NEW = 24
# In bfloat16 the order of additions moves log-probabilities by about 0.1; a mixed-up cache moves them by more than 1.
CLOSE = {"bfloat16": 0.25, "float32": 5e-3}
KINDS: list[tuple[Plan, str]] = [
    ("plain", "bfloat16"),
    ("dequantized", "bfloat16"),
    ("nf4", "bfloat16"),
    ("plain", "float32"),
    ("nf4", "float32"),
]


@pytest.fixture(params=KINDS, ids=lambda kind: "-".join(kind))
def kind(request: pytest.FixtureRequest) -> Iterator[tuple[Plan, str]]:
    yield request.param
    torch.cuda.empty_cache()


@pytest.mark.parametrize("in_place", [True, False], ids=["in place", "gathered"])
async def test_a_mixed_batch_has_the_log_probabilities_of_the_model_alone(
    make: Callable[..., BatchingEngine],
    base: Path,
    adapter: Path,
    kind: tuple[Plan, str],
    in_place: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plan, dtype = kind
    if not in_place:
        monkeypatch.setattr(kernels, "load", lambda *_: None)
    quantization = Quantization("none" if plan == "plain" else "nf4", double_quant=plan != "plain", compute_dtype=dtype)
    engine = make(quantization=quantization, plan=None if plan == "plain" else plan)
    loaded, model = engine.loaded(), _reference(base, adapter, quantization)
    assert loaded is not None, engine.failure()
    assert (loaded.plan, loaded.quantization, loaded.device) == (plan, quantization, "cuda:0")
    assert loaded.steps == ("table" if in_place else "packed" if dtype == "float32" else "recorded")
    tokenizer = AutoTokenizer.from_pretrained(base)
    wanted = [(prompt, name) for prompt in PROMPTS for name in (CHECKPOINT, None)]
    answers = await asyncio.gather(*(_answer(engine, prompt, name) for prompt, name in wanted))
    again = await asyncio.gather(*(_answer(engine, prompt, name) for prompt, name in wanted))
    assert bool(_recordings(engine)) == (loaded.steps != "packed")
    for (prompt, name), answer in zip(wanted * 2, answers + again, strict=True):
        tokens = [token for token, _ in answer]
        ids = tokenizer(prompt, return_tensors="pt").input_ids
        if name is not None:
            expected = _logprobs(model, ids, tokens)
        else:
            with model.disable_adapter():
                expected = _logprobs(model, ids, tokens)
        assert [logprob for _, logprob in answer] == pytest.approx(expected, abs=CLOSE[dtype])


def _recordings(engine: BatchingEngine) -> Any:
    assert engine._serving is not None
    graphs = engine._serving.batches._processor.model_runner.graphs
    return graphs._known if graphs else None


async def _answer(engine: BatchingEngine, prompt: str, adapter: str | None) -> list[tuple[int, float]]:
    request = Request(prompt, NEW, chat=False, adapter=adapter, ignore_eos=True)
    return [(chunk.token, chunk.logprob) async for chunk in engine.generate(request)]


def _reference(base: Path, adapter: Path, quantization: Quantization) -> Any:
    dtype = getattr(torch, quantization.compute_dtype)
    config = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=dtype,
    )
    model = AutoModelForCausalLM.from_pretrained(
        base,
        dtype=dtype,
        device_map={"": "cuda:0"},
        quantization_config=config if quantization.method == "nf4" else None,
    )
    return PeftModel.from_pretrained(model, adapter, autocast_adapter_dtype=False).eval()


@torch.inference_mode()
def _logprobs(model: Any, ids: torch.Tensor, tokens: list[int]) -> list[float]:
    """Of each token after those before it, computed in one pass."""
    new = torch.tensor([tokens])
    logits = model(input_ids=torch.cat([ids, new], dim=1).cuda()).logits[0, ids.shape[1] - 1 : -1].float().cpu()
    found: list[float] = torch.log_softmax(logits, dim=-1).gather(1, new.T)[:, 0].tolist()
    return found


def test_nvml_tells_what_the_gpu_does() -> None:
    (card, *_) = Gpus().read()
    assert card.name.startswith("NVIDIA")
    assert 0 < card.memory_used < card.memory_total
    assert 0 <= card.utilization <= 100
    assert 0 < card.temperature < 120
    assert card.power > 0
