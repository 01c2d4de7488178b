"""Every way in which a checkpoint can be broken has its own reason, and names file and key."""

import json
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from forge_inference.checkpoint import base as base_room
from forge_inference.checkpoint import preflight
from forge_inference.checkpoint.errors import CheckpointError
from forge_inference.checkpoint.preflight import Adapter
from tests.support.checkpoints import MODULE, RANK, WIDTH, A, B, a_base, an_adapter, safetensors

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
ONES_A, ONES_B = np.ones((RANK, WIDTH)), np.ones((WIDTH, RANK))


def check(base: Path, adapter: Path) -> Adapter:
    return preflight.check(adapter, "pvc://models/run", base_room.read(base, "pvc://models/base"))


def test_a_good_adapter_tells_what_it_is(tmp_path: Path) -> None:
    found = check(a_base(tmp_path / "base"), an_adapter(tmp_path / "adapter"))
    assert (found.rank, found.alpha, found.base_model) == (RANK, 8.0, "org/base")
    assert found.target_modules == ("q_proj",)
    assert found.digest.startswith("sha256:")


def test_the_digest_changes_with_either_file(tmp_path: Path) -> None:
    base, adapter = a_base(tmp_path / "base"), an_adapter(tmp_path / "adapter")
    first = check(base, adapter).digest
    assert check(base, adapter).digest == first
    safetensors(adapter / WEIGHTS, {A: ONES_A, B: 2 * ONES_B})
    second = check(base, adapter).digest
    config = json.loads((adapter / CONFIG).read_text())
    (adapter / CONFIG).write_text(json.dumps({**config, "lora_alpha": 9}))
    assert len({first, second, check(base, adapter).digest}) == 3


def a_pickle(adapter: Path) -> None:
    (adapter / WEIGHTS).rename(adapter / "adapter_model.bin")


def cut_off(adapter: Path) -> None:
    path = adapter / WEIGHTS
    path.write_bytes(path.read_bytes()[:-100])


def a_pointer(adapter: Path) -> None:
    (adapter / WEIGHTS).write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")


def nonsense(adapter: Path) -> None:
    (adapter / WEIGHTS).write_bytes(struct.pack("<Q", 4) + b"[1,]")


def tensors(**changes: object) -> Callable[[Path], None]:
    def write(adapter: Path) -> None:
        whole = {A: ONES_A, B: ONES_B}
        whole.update({A if name == "a" else B if name == "b" else name: v for name, v in changes.items()})  # type: ignore[misc]
        safetensors(adapter / WEIGHTS, {name: v for name, v in whole.items() if v is not None})

    return write


@pytest.mark.parametrize(
    ("breaks", "reason", "words"),
    [
        (a_pickle, "CheckpointUnsupported", "adapter_model.bin is pickled weights"),
        (lambda adapter: (adapter / CONFIG).unlink(), "CheckpointNotFound", CONFIG),
        (lambda adapter: (adapter / CONFIG).write_text("{"), "CheckpointInvalid", f"{CONFIG} is not JSON"),
        (lambda adapter: (adapter / CONFIG).write_text("[" * 99999), "CheckpointInvalid", f"{CONFIG} is not JSON"),
        (lambda adapter: (adapter / CONFIG).write_text(" " * 2**21), "CheckpointInvalid", "larger than 1,024 KiB"),
        (cut_off, "CheckpointIncomplete", "not whole yet"),
        (a_pointer, "CheckpointInvalid", "Git LFS pointer"),
        (nonsense, "CheckpointInvalid", "is not JSON"),
        (tensors(a=None), "CheckpointInvalid", f"{MODULE} has no lora_A"),
        (tensors(a=None, b=None), "CheckpointInvalid", "no tensors"),
        (tensors(a=np.ones((RANK + 1, WIDTH))), "CheckpointInvalid", f"r = {RANK}"),
        (tensors(b=np.ones((WIDTH * 2, RANK))), "BaseModelMismatch", "128, 64"),
        (tensors(stray=np.ones(3)), "CheckpointInvalid", "stray is not a tensor of a LoRA adapter"),
        (tensors(b=np.zeros((WIDTH, RANK))), "AdapterIneffective", "every lora_B is zero"),
        (tensors(a=np.full((RANK, WIDTH), np.nan)), "CheckpointInvalid", "not finite"),
    ],
)
def test_a_broken_adapter_is_refused(tmp_path: Path, breaks: Callable[[Path], object], reason: str, words: str) -> None:
    adapter = an_adapter(tmp_path / "adapter")
    breaks(adapter)
    with pytest.raises(CheckpointError, match=words) as refused:
        check(a_base(tmp_path / "base"), adapter)
    assert refused.value.reason == reason


@pytest.mark.parametrize(
    ("reason", "key", "value", "words"),
    [
        ("CheckpointUnsupported", "peft_type", "IA3", "LoRA is"),
        ("CheckpointUnsupported", "task_type", "SEQ_CLS", "only CAUSAL_LM generates text"),
        ("CheckpointUnsupported", "use_dora", True, "DoRA"),
        ("CheckpointUnsupported", "modules_to_save", ["lm_head"], "trained whole"),
        ("CheckpointUnsupported", "trainable_token_indices", [3], "rows of the embedding"),
        ("CheckpointUnsupported", "target_parameters", ["experts.gate_up_proj"], "single parameters"),
        ("CheckpointUnsupported", "bias", "all", "trained biases"),
        ("CheckpointUnsupported", "init_lora_weights", "pissa", "changed the base model's weights"),
        ("CheckpointUnsupported", "of_the_future", 1, "not known here"),
        ("CheckpointInvalid", "rank_pattern", {"(a+)+$": 1}, "not what PEFT writes"),
        ("CheckpointInvalid", "auto_mapping", {"base_model_class": "x", "parent_library": "os"}, "not what PEFT"),
        ("CheckpointInvalid", "megatron_core", "os", "not what PEFT"),
        ("CheckpointInvalid", "r", "8", "not what PEFT"),
        ("CheckpointInvalid", "r", 0, "not what PEFT"),
        ("CheckpointInvalid", "lora_alpha", True, "not what PEFT"),
        ("CheckpointInvalid", "lora_alpha", 10**400, "not what PEFT"),
        ("CheckpointInvalid", "target_modules", [{}], "not what PEFT"),
    ],
)
def test_a_key_that_asks_for_something_else_is_named(
    tmp_path: Path, reason: str, key: str, value: object, words: str
) -> None:
    adapter = an_adapter(tmp_path / "adapter", **{key: value})
    with pytest.raises(CheckpointError, match=f"{CONFIG}: {key} = .*{words}") as refused:
        check(a_base(tmp_path / "base"), adapter)
    assert refused.value.reason == reason


def test_an_adapter_of_another_model_names_the_layer(tmp_path: Path) -> None:
    base = a_base(tmp_path / "base")
    safetensors(base / "model.safetensors", {"transformer.h.0.attn.weight": np.ones((2, 2))})
    with pytest.raises(CheckpointError, match=MODULE) as refused:
        check(base, an_adapter(tmp_path / "adapter"))
    assert refused.value.reason == "BaseModelMismatch"


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "model.safetensors"])
def test_a_base_model_that_lacks_a_file_names_it(tmp_path: Path, name: str) -> None:
    base = a_base(tmp_path / "base")
    (base / name).unlink()
    with pytest.raises(CheckpointError, match=name) as refused:
        base_room.read(base, "pvc://models/base")
    assert refused.value.reason == "BaseModelNotFound"
    assert "pvc://models/base" in str(refused.value)


def test_missing_folders_are_told_with_what_the_manifest_said(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="pvc://models/base"):
        base_room.read(tmp_path / "none", "pvc://models/base")
    base = base_room.read(a_base(tmp_path / "base"), "")
    with pytest.raises(CheckpointError, match="pvc://models/run") as refused:
        preflight.check(tmp_path / "none", "pvc://models/run", base)
    assert refused.value.reason == "CheckpointNotFound"


def test_a_missing_shard_of_the_base_model_is_named(tmp_path: Path) -> None:
    base = a_base(tmp_path / "base")
    index = {"weight_map": {f"{MODULE}.weight": "model.safetensors", "x.weight": "model-2.safetensors"}}
    (base / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(CheckpointError, match=r"model-2\.safetensors"):
        base_room.read(base, "")
