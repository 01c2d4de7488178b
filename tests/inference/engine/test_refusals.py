"""What PEFT itself saves and we do not serve is refused by name, not half served."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import IA3Config, LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM

from forge_inference.checkpoint.base import Base, read
from forge_inference.checkpoint.errors import CheckpointError
from forge_inference.checkpoint.preflight import check
from tests.inference.engine.conftest import QUIET

pytestmark = [pytest.mark.model, QUIET, pytest.mark.filterwarnings("ignore::UserWarning")]
LORA = {"r": 4, "lora_alpha": 8, "target_modules": ["q_proj"], "task_type": "CAUSAL_LM"}


@pytest.fixture(scope="module")
def known(base: Path) -> Base:
    return read(base, "pvc://models/base")


def _model(base: Path) -> Any:
    return AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)


def _lora(**config: Any) -> Callable[[Path, Path], None]:
    return lambda base, folder: get_peft_model(_model(base), LoraConfig(**{**LORA, **config})).save_pretrained(folder)


def _resized(base: Path, folder: Path) -> None:
    model = _model(base)
    model.resize_token_embeddings(352)
    get_peft_model(model, LoraConfig(**LORA)).save_pretrained(folder, save_embedding_layers=True)


def _ia3(base: Path, folder: Path) -> None:
    config = IA3Config(target_modules=["k_proj"], feedforward_modules=[], task_type="CAUSAL_LM")
    get_peft_model(_model(base), config).save_pretrained(folder)


def _whole_state(base: Path, folder: Path) -> None:
    """As a trainer saves that knows nothing of PEFT."""
    from safetensors.torch import save_file

    tuned = get_peft_model(_model(base), LoraConfig(**LORA))
    tuned.save_pretrained(folder)
    state = {name: values.clone() for name, values in tuned.state_dict().items() if "lora_" in name}
    save_file(state, folder / "adapter_model.safetensors")


def _compiled(base: Path, folder: Path) -> None:
    from safetensors.torch import load_file, save_file

    _lora()(base, folder)
    path = folder / "adapter_model.safetensors"
    save_file({f"_orig_mod.{name}": values for name, values in load_file(path).items()}, path)


@pytest.mark.parametrize(
    ("save", "reason", "says"),
    [
        pytest.param(_lora(use_dora=True), "CheckpointUnsupported", "DoRA", id="DoRA"),
        pytest.param(
            _lora(modules_to_save=["lm_head"]), "CheckpointUnsupported", "modules_to_save", id="the head whole"
        ),
        pytest.param(_lora(trainable_token_indices=[1, 2]), "CheckpointUnsupported", "trainable_token", id="tokens"),
        pytest.param(_lora(bias="all"), "CheckpointUnsupported", "bias", id="biases"),
        pytest.param(_lora(init_lora_weights="pissa"), "CheckpointUnsupported", "path_initial_model", id="PiSSA"),
        pytest.param(
            _lora(target_modules=["embed_tokens"]), "CheckpointUnsupported", "is a whole embedding", id="embedding"
        ),
        pytest.param(_resized, "CheckpointUnsupported", "resized for new tokens", id="a resized vocabulary"),
        pytest.param(_ia3, "CheckpointUnsupported", "IA3", id="IA3"),
        pytest.param(_whole_state, "CheckpointInvalid", "an adapter's name in it", id="a whole state"),
        pytest.param(_compiled, "CheckpointInvalid", "_orig_mod", id="a compiled model"),
        pytest.param(_lora(), "AdapterIneffective", "every lora_B is zero", id="untrained"),
    ],
)
def test_what_peft_saves_and_we_do_not_serve_is_told_by_name(
    base: Path, known: Base, tmp_path: Path, save: Callable[[Path, Path], None], reason: str, says: str
) -> None:
    save(base, tmp_path / "run")
    with pytest.raises(CheckpointError, match=says) as refused:
        check(tmp_path / "run", "pvc://models/run", known)
    assert refused.value.reason == reason
