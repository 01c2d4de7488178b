"""What PEFT loads with a warning at most, and then answers wrongly with, is refused by name."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from forge_inference.checkpoint import base as base_room
from forge_inference.checkpoint.base import Base
from forge_inference.checkpoint.errors import CheckpointError
from forge_inference.checkpoint.preflight import _look, check
from tests.inference.engine.tiny import Tensors, a_base, adapter_tensors, an_adapter

FIRST = "base_model.model.model.layers.0.mlp.down_proj"


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Base:
    return base_room.read(a_base(tmp_path_factory.mktemp("base") / "model"), "pvc://models/base")


def _renamed(prefix: str) -> Callable[[Tensors], Tensors]:
    return lambda tensors: {prefix + name: value for name, value in tensors.items()}


def _without(text: str) -> Callable[[Tensors], Tensors]:
    return lambda tensors: {name: value for name, value in tensors.items() if text not in name}


def _with(name: str, value: Any) -> Callable[[Tensors], Tensors]:
    return lambda tensors: {**tensors, f"{FIRST}.{name}": np.asarray(value)}


@pytest.mark.parametrize(
    ("change", "reason", "says"),
    [
        pytest.param(_without("layers.1"), "CheckpointInvalid", "lacks 2 of the 4 layers", id="half of the layers"),
        pytest.param(_without("layers.0.mlp"), "CheckpointInvalid", "layers.0.mlp.down_proj", id="one layer less"),
        pytest.param(_without("lora_B"), "CheckpointInvalid", "no lora_B", id="only A"),
        pytest.param(_renamed("_orig_mod."), "CheckpointInvalid", "_orig_mod", id="compiled"),
        pytest.param(_renamed("base_model.model."), "CheckpointInvalid", "not a tensor of", id="wrapped twice"),
        pytest.param(
            _with("lora_magnitude_vector", [1.0]), "CheckpointUnsupported", "lora_magnitude_vector", id="DoRA"
        ),
        pytest.param(_with("lora_A.weight", np.ones((4, 0), "f4")), "CheckpointInvalid", "shape", id="nothing in it"),
        pytest.param(_with("lora_A.weight", np.ones((4, 192), "i1")), "CheckpointUnsupported", "I8", id="integers"),
        pytest.param(_with("lora_B.weight", np.full((128, 4), np.inf, "f2")), "CheckpointInvalid", FIRST, id="inf"),
    ],
)
def test_tensors_that_would_load_and_mislead(
    tmp_path: Path, base: Base, change: Callable[[Tensors], Tensors], reason: str, says: str
) -> None:
    _refused(an_adapter(tmp_path / "a", change(adapter_tensors())), base, reason, "adapter_model.safetensors", says)


@pytest.mark.parametrize("key", ["peft_type", "r", "lora_alpha", "target_modules"])
def test_a_key_whose_default_would_mislead_must_be_there(tmp_path: Path, base: Base, key: str) -> None:
    folder = an_adapter(tmp_path / "a", None, **{key: ...})
    _refused(folder, base, "CheckpointInvalid", f"adapter_config.json: {key} is missing")


def test_the_ways_to_break_an_adapter_are_told_apart(tmp_path: Path, base: Base) -> None:
    tensors: dict[str, Tensors] = {
        "empty": {},
        "wrapped": _renamed("_orig_mod.")(adapter_tensors()),
        "half": _without("layers.1")(adapter_tensors()),
        "untrained": adapter_tensors(scale=0),
        "not numbers": _with("lora_A.weight", np.full((4, 192), np.nan, "f4"))(adapter_tensors()),
    }
    configs: dict[str, dict[str, Any]] = {
        "no alpha": {"lora_alpha": ...},
        "no kind": {"peft_type": ...},
        "another rank": {"r": 8},
        "of the future": {"quantum_config": {"qubits": 3}},
        "layers trained whole": {"modules_to_save": ["embed_tokens"]},
    }
    runs = {name: an_adapter(tmp_path / name, content) for name, content in tensors.items()}
    runs |= {name: an_adapter(tmp_path / name, **changes) for name, changes in configs.items()}
    runs["cut off"] = an_adapter(tmp_path / "cut off")
    (runs["cut off"] / "adapter_model.safetensors").write_bytes(bytes(5))
    runs["pickled"] = an_adapter(tmp_path / "pickled")
    (runs["pickled"] / "adapter_model.safetensors").rename(runs["pickled"] / "adapter_model.bin")
    told = {}
    for name, folder in runs.items():
        with pytest.raises(CheckpointError, match=r"adapter_(config|model)\.") as refused:
            check(folder, "pvc://models/runs/1", base)
        told[name] = str(refused.value)
    assert len(set(told.values())) == 12


def test_an_adapter_that_names_no_base_model_is_taken_for_the_given_one(tmp_path: Path, base: Base) -> None:
    assert check(an_adapter(tmp_path / "a", base_model_name_or_path=None), "pvc://r", base).base_model is None


def test_an_adapter_on_the_same_shapes_of_another_model_is_known_by_config_and_tokenizer(
    tmp_path: Path, base: Base
) -> None:
    folder = an_adapter(tmp_path / "a")
    (folder / "config.json").write_text('{"model_type": "llama", "num_attention_heads": 4}')
    _refused(folder, base, "BaseModelMismatch", "config.json beside the adapter: num_attention_heads = 4", "has 2")
    (folder / "config.json").write_text('{"model_type": "llama", "vocab_size": 352}')
    _refused(folder, base, "CheckpointUnsupported", "vocab_size = 352", "320")
    (folder / "config.json").unlink()
    assert base.folder is not None
    tokenizer = json.loads((base.folder / "tokenizer.json").read_text())
    words = tokenizer["model"]["vocab"]
    first, second = sorted(words, key=lambda word: words[word])[100:102]
    words[first], words[second] = words[second], words[first]
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    _refused(folder, base, "BaseModelMismatch", "tokenizer.json: the token")


def test_a_token_more_is_refused_unless_it_is_for_padding(tmp_path: Path, base: Base) -> None:
    folder = an_adapter(tmp_path / "a")
    assert base.folder is not None
    tokenizer = json.loads((base.folder / "tokenizer.json").read_text())
    tokenizer["added_tokens"].append({"id": 319, "content": "<gene>", "special": True})
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    _refused(folder, base, "CheckpointUnsupported", "adds the token '<gene>' (number 319)")
    (folder / "tokenizer_config.json").write_text('{"pad_token": "<gene>"}')
    check(folder, "pvc://r", base)


def test_the_chat_template_of_a_run_is_found_where_trainers_put_it(tmp_path: Path, base: Base) -> None:
    folder = an_adapter(tmp_path / "run/checkpoint-1")
    assert check(tmp_path / "run", "pvc://r", base).chat_template is None
    (tmp_path / "run/tokenizer_config.json").write_text('{"chat_template": "of the run"}')
    assert check(tmp_path / "run", "pvc://r", base).chat_template == "of the run"
    several = [{"name": "tool_use", "template": "x"}, {"name": "default", "template": "of the checkpoint"}]
    (folder / "tokenizer_config.json").write_text(json.dumps({"chat_template": several}))
    assert check(tmp_path / "run", "pvc://r", base).chat_template == "of the checkpoint"
    (folder / "chat_template.jinja").write_text("in a file")
    assert check(tmp_path / "run", "pvc://r", base).chat_template == "in a file"


def test_tensors_that_the_config_does_not_name_would_be_passed_over(tmp_path: Path, base: Base) -> None:
    folder = an_adapter(tmp_path / "a", target_modules=["q_proj"])
    _refused(folder, base, "CheckpointInvalid", "target_modules does not name", "down_proj")


def test_what_newer_versions_of_peft_write_for_nothing_is_accepted(tmp_path: Path, base: Base) -> None:
    empty: dict[str, Any] = {
        "eva_config": None,
        "rank_pattern": {},
        "exclude_modules": [],
        "lora_bias": False,
        "new_in_2027": None,
    }
    found = check(an_adapter(tmp_path / "a", **empty, megatron_core="megatron.core"), "pvc://models/runs/1", base)
    assert found.target_modules == ("down_proj", "q_proj")


def test_bfloat16_is_read_as_what_it_is() -> None:
    upper = (np.array([1.5, np.nan, 0.0], np.float32).view("<u4") >> 16).astype("<u2")
    assert _look(upper[:1].tobytes(), "BF16") == (True, False)
    assert _look(upper[:2].tobytes(), "BF16") == (False, False)
    assert _look(upper[2:].tobytes(), "BF16") == (True, True)


def _refused(folder: Path, base: Base, reason: str, *says: str) -> None:
    with pytest.raises(CheckpointError) as caught:
        check(folder, "pvc://models/runs/1", base)
    assert caught.value.reason == reason, str(caught.value)
    for word in says:
        assert word in str(caught.value)
