"""A base model's folder: what is missing is named, with the URI of the manifest."""

import json
from pathlib import Path

import pytest

from forge_inference.checkpoint.base import read
from forge_inference.checkpoint.errors import CheckpointError
from tests.inference.engine.tiny import HIDDEN, INNER, a_base

URI = "pvc://models/base"


def test_a_whole_folder_gives_the_shapes_of_its_layers(tmp_path: Path) -> None:
    base = read(a_base(tmp_path / "m"), URI)
    assert base.weights["model.layers.1.mlp.down_proj.weight"].shape == (HIDDEN, INNER)
    assert len(base.linear()) == 14
    assert "lm_head" not in base.linear()
    assert not base.quantized


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json"])
def test_a_missing_file_is_named_with_the_uri(tmp_path: Path, name: str) -> None:
    _refused(a_base(tmp_path / "m", drop=(name,)), "BaseModelNotFound", name, URI)


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    _refused(tmp_path / "nowhere", "BaseModelNotFound", str(tmp_path / "nowhere"), URI)


def test_weights_in_several_files_are_found_through_their_index(tmp_path: Path) -> None:
    folder = a_base(tmp_path / "m")
    (folder / "model.safetensors").rename(folder / "model-1.safetensors")
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"a": "model-1.safetensors"}}))
    assert len(read(folder, URI).linear()) == 14
    index.write_text(json.dumps({"weight_map": {"a": "model-2.safetensors"}}))
    _refused(folder, "BaseModelNotFound", "model-2.safetensors is named in the index and missing")
    index.write_text(json.dumps({"weight_map": ["a"]}))
    _refused(folder, "CheckpointInvalid", "weight_map")


def test_a_config_that_is_cut_off_is_invalid(tmp_path: Path) -> None:
    folder = a_base(tmp_path / "m")
    (folder / "config.json").write_text('{"model_type": ')
    _refused(folder, "CheckpointInvalid", "config.json is not JSON", URI)


def _refused(folder: Path, reason: str, *says: str) -> None:
    with pytest.raises(CheckpointError) as caught:
        read(folder, URI)
    assert caught.value.reason == reason
    for word in says:
        assert word in str(caught.value)
