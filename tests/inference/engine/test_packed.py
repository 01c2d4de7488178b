"""Layers laid out for a CPU's matrix units answer as before, with adapters and without."""

import asyncio
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn
from transformers import AutoModelForCausalLM, GPTNeoXConfig, LlamaConfig, MistralConfig, Qwen2Config, Qwen3Config
from transformers.models.llama.modeling_llama import LlamaRMSNorm, apply_rotary_pos_emb

from forge_inference.engine import attention, packed, proof
from forge_inference.engine.adapters import Adapted, Slots
from forge_inference.engine.batching import BatchingEngine
from forge_inference.engine.beside import Beside
from forge_inference.engine.contract import Request
from forge_inference.engine.packed import Packed
from tests.inference.engine.conftest import PLAIN, QUIET

pytestmark = [
    pytest.mark.model,
    QUIET,
    pytest.mark.skipif(
        not torch.ops.mkldnn._is_mkldnn_bf16_supported(), reason="this CPU has no fast bfloat16: nothing is laid out"
    ),
]
SIZES: dict[str, Any] = {
    "vocab_size": 96,
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 128,
}
FEWER: dict[str, Any] = {**SIZES, "num_key_value_heads": 2}
CLOSE = {"rtol": 0.03, "atol": 0.03}  # a bfloat16 has eight bits
SIDES = [12, 8, 4]  # sizes of answers
MODELS = {
    "llama": LlamaConfig(**FEWER),
    "llama with biases": LlamaConfig(**FEWER, attention_bias=True, mlp_bias=True),
    "llama with tied embeddings": LlamaConfig(**FEWER, tie_word_embeddings=True),
    "mistral": MistralConfig(**FEWER, head_dim=32),
    "qwen2": Qwen2Config(**FEWER),
    "qwen3": Qwen3Config(**FEWER, head_dim=32),
    "another": GPTNeoXConfig(**SIZES),
}


def _layer(bias: bool = True) -> nn.Linear:
    torch.manual_seed(1)
    return nn.Linear(64, 96, bias=bias, dtype=torch.bfloat16).requires_grad_(requires_grad=False)


@pytest.mark.parametrize("rows", [1, 2, 33, 512])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("small", [True, False])
@torch.inference_mode()
def test_a_layer_and_what_is_done_within_it(rows: int, bias: bool, small: bool) -> None:
    layer, x = _layer(bias), torch.randn(1, rows, 64, dtype=torch.bfloat16)
    other = torch.randn(1, rows, 96, dtype=torch.bfloat16)
    one = Packed(layer.weight, layer.bias, small=small)
    exact = nn.functional.linear(x.float(), layer.weight.float(), layer.bias.float() if bias else None)
    torch.testing.assert_close(one(x).float(), exact, **CLOSE)
    torch.testing.assert_close(one(x, "swish").float(), nn.functional.silu(exact), **CLOSE)
    torch.testing.assert_close(one.times(x, other).float(), exact * other.float(), **CLOSE)


def test_turning_is_no_further_from_exact_numbers_than_in_transformers() -> None:
    torch.manual_seed(0)
    x, angles = torch.randn(1, 9, 6, 32).bfloat16(), torch.randn(1, 9, 16).repeat(1, 1, 2)
    cosines, sines = angles.cos().bfloat16(), angles.sin().bfloat16()
    exact, _ = apply_rotary_pos_emb(*(each.float() for each in (x, x, cosines, sines)), unsqueeze_dim=2)
    theirs, _ = apply_rotary_pos_emb(x, x, cosines, sines, unsqueeze_dim=2)
    ours = packed._turned(x, cosines.unsqueeze(2), sines.unsqueeze(2))
    assert (ours.float() - exact).square().sum() <= (theirs.float() - exact).square().sum()


@pytest.mark.parametrize("shape", [(1, 1, 64), (1, 33, 64), (3, 5, 64), (3, 50, 64)])
@torch.inference_mode()
def test_norms_are_those_of_transformers_to_the_bit(shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    norm = LlamaRMSNorm(64, 1e-5).bfloat16()
    norm.weight.normal_(1, 0.3)
    x = torch.randn(shape).bfloat16()
    x[0, 0] *= 1e-3  # where what is added to the square is not small beside it
    assert torch.equal(packed._normalised(norm, x), norm(x))


@pytest.mark.parametrize("small", [packed._SMALL, 0])
@pytest.mark.parametrize("name", MODELS)
@torch.inference_mode()
def test_a_model_answers_as_before(name: str, small: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packed, "_SMALL", small)
    torch.manual_seed(0)
    model: Any = AutoModelForCausalLM.from_config(deepcopy(MODELS[name])).bfloat16().eval()
    ids = torch.randint(0, 96, (1, 40))
    before = model(ids, use_cache=False).logits
    attention.use(model)
    packed.use(model)
    torch.testing.assert_close(model(ids, use_cache=False).logits, before, **CLOSE)
    assert not any(type(layer) is nn.Linear for layer in model.modules())


@pytest.mark.parametrize("name", ["llama", "llama with biases", "qwen3"])
@torch.inference_mode()
def test_one_row_is_as_close_as_many(name: str) -> None:
    torch.manual_seed(0)
    model: Any = AutoModelForCausalLM.from_config(deepcopy(MODELS[name])).bfloat16().eval()
    before = model(torch.tensor([[7]]), use_cache=False).logits
    attention.use(model)
    packed.use(model)
    torch.testing.assert_close(model(torch.tensor([[7]]), use_cache=False).logits, before, **CLOSE)


@torch.inference_mode()
def test_nothing_is_laid_out_in_float32() -> None:
    model: Any = AutoModelForCausalLM.from_config(deepcopy(MODELS["llama"])).float()
    packed.use(model)
    assert not any(isinstance(layer, Packed) for layer in model.modules())


def test_adapters_have_their_part_in_layers_that_were_joined(
    make: Callable[..., BatchingEngine], monkeypatch: pytest.MonkeyPatch
) -> None:
    short = replace(PLAIN, compute_dtype="bfloat16")
    found = make(quantization=short)
    with monkeypatch.context() as before:
        before.setattr(packed, "use", lambda _: None)
        expected = make(quantization=short)
    for engine, is_packed in ((found, True), (expected, False)):
        assert engine._serving is not None
        layers = [*engine._serving.weights.model.modules()]
        assert any(isinstance(layer, Packed) for layer in layers) == is_packed
        assert any(isinstance(layer, Adapted) for layer in layers)

    def logits(engine: BatchingEngine, name: str | None) -> torch.Tensor:
        weights = engine._serving.weights  # type: ignore[union-attr]
        return proof.forward(weights, weights.adapters.slot(name))(torch.arange(3, 40)[None]).float()

    def distance(one: torch.Tensor, other: torch.Tensor) -> float:
        return float((one - other).square().mean().sqrt())

    in_full = make()
    for name in (None, ""):
        exact = logits(in_full, name)
        rounded = distance(logits(expected, name), exact)
        assert distance(logits(found, name), exact) < 1.3 * rounded, (
            "no further from exact numbers than the plain model"
        )
    moved = distance(logits(in_full, ""), logits(in_full, None))
    assert moved > 4 * distance(logits(found, ""), logits(in_full, "")), "what the adapter adds is no rounding"


async def test_base_and_adapter_in_one_batch_are_not_mixed_up(make: Callable[..., BatchingEngine]) -> None:
    engine = make(quantization=replace(PLAIN, compute_dtype="bfloat16"))

    async def told(adapter: str | None) -> list[float]:
        request = Request("What is a gene?", 6, adapter=adapter, ignore_eos=True)
        return [chunk.logprob async for chunk in engine.generate(request)]

    alone = [await told(name) for name in ("", None)]
    together = await asyncio.gather(*(told(name) for name in ("", None)))
    for one, other in zip(alone, together, strict=True):
        assert other == pytest.approx(one, abs=0.1)
    assert alone[0] != pytest.approx(alone[1], abs=0.2)


def _beside() -> tuple[Slots, list[Any], Callable[[int], torch.Tensor]]:
    """Three layers that answer nothing; adapter 1 is on two, adapter 2 on one. What each adds, exactly."""
    torch.manual_seed(3)
    slots = Slots()
    layers = [Adapted(nn.Identity(), slots, torch.float64) for _ in SIDES[:2]]
    parts = {
        (number, slot): (torch.randn(rank, 64).double(), torch.randn(SIDES[number], rank).double(), scale)
        for number, slot, rank, scale in ((0, 1, 4, 0.5), (1, 1, 4, 0.5), (1, 2, 8, 3.0))
    }
    for (number, slot), part in parts.items():
        layers[number].put(slot, *part)

    def moved(slot: int) -> torch.Tensor:
        zeros = [torch.zeros(size, 64).double() for size in SIDES]
        for (number, of), (a, b, scale) in parts.items():
            zeros[number] += scale * b @ a * (of == slot)
        return torch.cat(zeros)

    return slots, [*layers, nn.Identity()], moved


@pytest.mark.parametrize("wanted", [[1], [2], [0], [3], [1] * 5, [2] * 40, [1, 2, 0], [1, *[2] * 40]])
@torch.inference_mode()
def test_adapters_on_layers_side_by_side_add_what_each_would(wanted: list[int]) -> None:
    slots, layers, moved = _beside()
    x, answers = (torch.randn(1, len(wanted), size).double() for size in (64, sum(SIDES)))
    exact = answers + torch.stack([moved(slot) @ row for slot, row in zip(wanted, x[0], strict=True)])
    with slots.chosen(torch.tensor(wanted)):
        Beside(SIDES).add(x, answers, layers)
    torch.testing.assert_close(answers, exact)


@torch.inference_mode()
def test_an_adapter_that_took_the_place_of_another_is_the_one_that_is_added() -> None:
    slots, layers, _ = _beside()
    beside, x = Beside(SIDES), torch.ones(1, 1, 64)

    def moved() -> torch.Tensor:
        answers = torch.zeros(1, 1, sum(SIDES))
        with slots.chosen(torch.tensor([1])):
            beside.add(x, answers, layers)
        return answers[0, 0]

    before = moved()
    layers[0].put(1, torch.ones(2, 64), torch.ones(12, 2), 1.0)
    layers[1].drop(2)
    layers[1].drop(1)  # its last
    assert before[12:20].any()
    assert moved().tolist() == [128] * 12 + [0] * 12


def test_a_place_for_adapters_is_left_of_a_layer_that_was_joined() -> None:
    model: Any = AutoModelForCausalLM.from_config(deepcopy(MODELS["llama"])).bfloat16()
    packed.use(model)
    place = model.get_submodule("model.layers.0.self_attn.q_proj")
    assert isinstance(Adapted(place, Slots(), torch.bfloat16).base, packed._Part)
    assert not list(place.parameters())
