"""A base model is known again wherever it lies, and told apart from one that was trained on."""

import json
from pathlib import Path

import numpy as np
import pytest

from forge_inference.checkpoint import base
from forge_inference.checkpoint.identity import identity
from tests.support.checkpoints import MODULE, WIDTH, a_base, safetensors


def known(folder: Path) -> str:
    return identity(base.read(folder, "pvc://models/base"))


def test_the_same_files_are_the_same_model_wherever_they_lie(tmp_path: Path) -> None:
    found = known(a_base(tmp_path / "one"))
    assert found == known(a_base(tmp_path / "other"))
    assert found.startswith("sha256:")
    assert len(found) == 71


@pytest.mark.parametrize("change", ["weights", "config", "tokenizer"])
def test_a_model_that_was_changed_is_another_one(tmp_path: Path, change: str) -> None:
    found, folder = known(a_base(tmp_path / "one")), a_base(tmp_path / "other")
    if change == "weights":
        safetensors(folder / "model.safetensors", {f"{MODULE}.weight": np.full((WIDTH, WIDTH), 1.0001)})
    elif change == "config":
        (folder / "config.json").write_text(json.dumps({"model_type": "llama", "rope_theta": 1}))
    else:
        (folder / "tokenizer.json").write_text('{"version": "1.0"}')
    assert known(folder) != found
