"""What cannot be served is never called loaded, and the reason is one that the operator knows."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from forge_inference.checkpoint.base import Base
from forge_inference.checkpoint.headers import Tensor
from forge_inference.engine import plans
from forge_inference.engine.batching import BatchingEngine
from forge_inference.engine.contract import Request
from forge_inference.engine.errors import EngineError, EngineFailed, LoadError
from forge_inference.engine.loading import _must_run_on
from tests.inference.engine.conftest import NF4, PLAIN, QUIET
from tests.inference.engine.tiny import a_base, adapter_tensors, an_adapter

pytestmark = [pytest.mark.model, QUIET]
Make = Callable[..., BatchingEngine]


def _reason(engine: BatchingEngine, *says: str) -> str:
    failure = engine.failure()
    assert isinstance(failure, LoadError)
    assert engine.loaded() is None
    for word in says:
        assert word in str(failure)
    return failure.reason


def test_an_adapter_that_was_never_trained_is_ineffective(make: Make, tmp_path: Path) -> None:
    engine = make(checkpoint=an_adapter(tmp_path / "a", adapter_tensors(scale=0)))
    assert _reason(engine, "every lora_B is zero") == "AdapterIneffective"


def test_an_adapter_that_changes_nothing_for_another_reason_is_found_by_measuring(make: Make, tmp_path: Path) -> None:
    engine = make(checkpoint=an_adapter(tmp_path / "a", lora_alpha=0))
    assert _reason(engine, "changes no logit") == "AdapterIneffective"


def test_what_was_fetched_is_told_with_its_version(make: Make, tmp_path: Path) -> None:
    folder = an_adapter(tmp_path / "a")
    note = {"uri": "hf://org/run", "revision": "5d1c", "digest": "sha256:cc"}
    (folder / ".fetched.json").write_text(json.dumps(note))
    loaded = make(checkpoint=folder, checkpoint_uri="hf://org/run").loaded()
    assert loaded is not None
    assert (loaded.checkpoint.revision, loaded.checkpoint.content_digest) == ("5d1c", "sha256:cc")


def test_an_adapter_that_is_still_being_written_is_incomplete_and_then_served(make: Make, tmp_path: Path) -> None:
    folder = an_adapter(tmp_path / "a")
    path = folder / "adapter_model.safetensors"
    whole = path.read_bytes()
    path.write_bytes(whole[:1000])
    assert _reason(make(checkpoint=folder), "adapter_model.safetensors") == "CheckpointIncomplete"
    path.write_bytes(whole)
    assert make(checkpoint=folder).loaded() is not None  # as the next start of the container finds it


async def test_folders_that_are_missing_are_named_and_requests_are_refused(make: Make, tmp_path: Path) -> None:
    assert _reason(make(checkpoint=tmp_path / "no"), "pvc://models/run") == "CheckpointNotFound"
    engine = make(base_model=tmp_path / "no")
    assert _reason(engine, "pvc://models/base") == "BaseModelNotFound"
    with pytest.raises(EngineFailed, match="there is no folder"):
        await anext(engine.generate(Request("x", 1)))


def test_a_base_model_that_computes_no_numbers_fails_the_probe(make: Make, tmp_path: Path) -> None:
    base = a_base(tmp_path / "m")
    path = base / "model.safetensors"
    raw = path.read_bytes()
    path.write_bytes(raw[:-4] + b"\xff\xff\xff\xff")  # a NaN in the last tensor
    assert _reason(make(base_model=base)) == "ProbeFailed"


def test_a_longer_context_than_the_base_model_has_is_a_wrong_setting(make: Make) -> None:
    assert _reason(make(longest=513), "maxModelLen is 513", "512 tokens") == "InvalidSettings"


def test_a_tokenizer_of_another_model_is_a_mismatch(make: Make, tmp_path: Path) -> None:
    base = a_base(tmp_path / "m")
    content: dict[str, Any] = json.loads((base / "tokenizer.json").read_text())
    content["added_tokens"][0]["id"] = 5000
    content["model"]["vocab"]["<|endoftext|>"] = 5000
    (base / "tokenizer.json").write_text(json.dumps(content))
    assert _reason(make(base_model=base), "tokenizer.json", "320 rows") == "BaseModelMismatch"


def test_weights_that_the_base_models_config_asks_for_must_be_there(make: Make, tmp_path: Path) -> None:
    engine = make(base_model=a_base(tmp_path / "m", config={"num_hidden_layers": 3}))
    assert _reason(engine, "lack model.layers.2.", "config.json") == "BaseModelMismatch"


def test_an_architecture_that_transformers_does_not_know_ends_the_engine(make: Make, tmp_path: Path) -> None:
    engine = make(base_model=a_base(tmp_path / "m", config={"model_type": "of-the-future"}))
    assert isinstance(engine.failure(), EngineError)
    assert "of-the-future" in str(engine.failure())
    assert engine.loaded() is None


def test_four_bits_on_a_cpu_need_layers_of_certain_sizes() -> None:
    def base(out: int, into: int) -> Base:
        return Base({}, {"model.layers.0.mlp.up_proj.weight": Tensor("F32", (out, into), 0, 0)})

    cpu = torch.device("cpu")
    _must_run_on(cpu, base(32, 64), NF4, "nf4")
    _must_run_on(cpu, base(33, 65), PLAIN, "plain")
    _must_run_on(cpu, base(33, 65), NF4, "dequantized")
    _must_run_on(torch.device("cuda"), base(33, 65), NF4, "nf4")
    for out, into in ((33, 64), (32, 96)):
        with pytest.raises(LoadError, match=f"up_proj has {out} x {into} weights"):
            _must_run_on(cpu, base(out, into), NF4, "nf4")


def test_numbers_are_of_a_format_that_the_processor_computes_fast(make: Make) -> None:
    features = Path("/proc/cpuinfo").read_text()
    fast = any(feature in features for feature in ("avx512bw", "avx_ne_convert", " bf16"))
    engine = make(quantization=replace(PLAIN, compute_dtype="bfloat16"))
    loaded, serving = engine.loaded(), engine._serving
    assert loaded is not None
    assert serving is not None
    assert loaded.quantization.compute_dtype == ("bfloat16" if fast else "float32")
    assert serving.weights.model.dtype == getattr(torch, loaded.quantization.compute_dtype)
    half = replace(PLAIN, compute_dtype="float16")
    assert plans.arithmetic(torch.device("cuda"), half) == half


@pytest.mark.parametrize(
    ("short", "matrices", "dtype", "plan"),
    [
        (False, False, "float32", "dequantized"),
        (True, False, "bfloat16", "nf4"),
        (True, True, "bfloat16", "dequantized"),
        (True, True, "float32", "nf4"),
    ],
)
def test_a_cpu_computes_with_four_bits_only_where_that_is_faster(
    short: bool, matrices: bool, dtype: str, plan: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: short)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: matrices)
    assert plans.choose(torch.device("cpu"), Base({}, {}), replace(NF4, compute_dtype=dtype)) == plan


def test_a_base_model_that_is_stored_in_four_bits_already_is_served_as_it_is(
    make: Make, base: Path, tmp_path: Path
) -> None:
    from transformers import AutoModelForCausalLM, BitsAndBytesConfig

    config = BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=torch.float32)
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32, quantization_config=config)
    stored = a_base(tmp_path / "m", drop=("model.safetensors", "config.json"))
    model.save_pretrained(stored)
    loaded = make(base_model=stored, quantization=PLAIN).loaded()
    assert loaded is not None
    assert (loaded.quantization.method, loaded.quantization.double_quant) == ("nf4", False)


def test_a_base_model_quantised_in_another_way_is_refused(make: Make, tmp_path: Path) -> None:
    base = a_base(tmp_path / "m", config={"quantization_config": {"quant_method": "gptq", "bits": 4}})
    assert _reason(make(base_model=base), "config.json: quantization_config") == "BaseModelMismatch"
