"""Which folder of a run is served, why, and what is said of runs that hold nothing to serve."""

import json
import shutil
from pathlib import Path

import pytest

from forge_inference.checkpoint.errors import CheckpointError, Findings
from forge_inference.checkpoint.facts import Facts, read
from forge_inference.checkpoint.layout import Choice, choose
from tests.inference.engine.tiny import a_base, an_adapter
from tests.support.trainers import LAYOUTS

URI = "pvc://models/run"


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return a_base(tmp_path_factory.mktemp("base") / "model")


@pytest.fixture(scope="module")
def adapter(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return an_adapter(tmp_path_factory.mktemp("adapter") / "run")


def _facts(choice: Choice) -> Facts:
    return read(choice, Findings())


@pytest.mark.parametrize(
    ("trainer", "folder", "why", "alternatives"),
    [
        ("Transformers", "checkpoint-8", "calls it the best", ("checkpoint-4", "checkpoint-12")),
        ("axolotl", ".", "itself has weights", ("merged", "checkpoint-12")),
        ("LLaMA-Factory", ".", "itself has weights", ()),
        ("unsloth", ".", "itself has weights", ()),
        ("torchtune", "epoch_1", "the last one", ("epoch_0",)),
        ("DeepSpeed", "checkpoint-12", "the last one", ()),
    ],
)
def test_a_run_is_served_from_its_final_best_or_last_folder(
    tmp_path: Path, base: Path, adapter: Path, trainer: str, folder: str, why: str, alternatives: tuple[str, ...]
) -> None:
    choice = choose(LAYOUTS[trainer](tmp_path / "run", base, adapter), URI)
    assert (choice.name, choice.kind, choice.alternatives) == (folder, "adapter", alternatives)
    assert why in choice.why


@pytest.mark.parametrize(
    ("trainer", "told", "step", "epoch", "loss", "trained_with"),
    [
        ("Transformers", "Transformers", 8, 2.0, 0.5, None),
        ("axolotl", "axolotl 0.12.2", None, None, None, "nf4"),
        ("LLaMA-Factory", "LLaMA-Factory", 12, 3.0, 0.25, "nf4"),
        ("unsloth", "unsloth", None, None, None, "nf4"),
        ("torchtune", "torchtune", None, 1.0, None, None),
        ("DeepSpeed", "Transformers", 12, 3.0, None, None),
    ],
)
def test_the_facts_of_a_training_are_read_from_what_its_trainer_writes(
    tmp_path: Path,
    base: Path,
    adapter: Path,
    trainer: str,
    told: str,
    step: int | None,
    epoch: float | None,
    loss: float | None,
    trained_with: str | None,
) -> None:
    facts = _facts(choose(LAYOUTS[trainer](tmp_path / "run", base, adapter), URI))
    assert (facts.trainer, facts.step, facts.epoch, facts.evaluation_loss) == (told, step, epoch, loss)
    assert facts.quantization == trained_with
    assert facts.matches("nf4") == ("Match" if trained_with else "Unknown")
    assert facts.matches("none") == ("Mismatch" if trained_with else "Unknown")
    assert not (tmp_path / "canary").exists()


def test_the_last_checkpoint_counts_by_number_and_not_by_letter(tmp_path: Path, adapter: Path) -> None:
    for step in (9, 100, 20):
        shutil.copytree(adapter, tmp_path / f"checkpoint-{step}")
    (tmp_path / "checkpoint-200").mkdir()  # begun, and without weights yet
    (tmp_path / "checkpoint-300").symlink_to(tmp_path / "checkpoint-300")
    assert choose(tmp_path, URI).name == "checkpoint-100"


def test_a_best_checkpoint_that_was_deleted_leaves_the_last_one(tmp_path: Path, adapter: Path) -> None:
    for step in (1, 2):
        shutil.copytree(adapter, tmp_path / f"checkpoint-{step}")
    (tmp_path / "trainer_state.json").write_text('{"best_model_checkpoint": "C:\\\\runs\\\\checkpoint-7"}')
    assert choose(tmp_path, URI).name == "checkpoint-2"
    (tmp_path / "trainer_state.json").write_text('{"best_model_checkpoint": "C:\\\\runs\\\\checkpoint-1\\\\"}')
    assert choose(tmp_path, URI).name == "checkpoint-1"


def test_final_weights_that_are_the_best_ones_again_are_told_with_the_best_ones_step(
    tmp_path: Path, adapter: Path
) -> None:
    run = shutil.copytree(adapter, tmp_path / "run")
    shutil.copytree(adapter, run / "checkpoint-2")
    history = [{"step": 2, "eval_loss": 0.3}, {"step": 4, "eval_loss": 0.4}]
    state = {"global_step": 4, "best_model_checkpoint": "/x/checkpoint-2", "log_history": history}
    (run / "trainer_state.json").write_text(json.dumps(state))
    facts = _facts(choose(run, URI))
    assert (facts.step, facts.evaluation_loss) == (2, 0.3)
    (run / "checkpoint-2/adapter_model.safetensors").write_bytes(b"other weights")
    facts = _facts(choose(run, URI))
    assert (facts.step, facts.evaluation_loss) == (4, 0.4)


def test_a_manifest_of_the_trainer_is_believed_before_anything_else(tmp_path: Path, adapter: Path) -> None:
    run = shutil.copytree(adapter, tmp_path / "run")
    manifest = {"schema": 1, "trainer": "ours", "base": {"id": "org/real"}, "quantization": {"method": "none"}}
    (run / "forge_manifest.json").write_text(json.dumps(manifest))
    facts = _facts(choose(run, URI))
    assert (facts.trainer, facts.base_model, facts.quantization) == ("ours", "org/real", "none")
    assert facts.quantization_from == "forge_manifest.json: quantization"


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ({"load_in_4bit": True, "bnb_4bit_quant_type": "nf4"}, "nf4"),
        ({"load_in_4bit": True}, "fp4"),
        ({"load_in_8bit": True}, "int8"),
        ({"quant_method": "gptq"}, "gptq"),
        ("nf4", None),
    ],
)
def test_config_json_beside_an_adapter_tells_what_the_base_model_was_held_as(
    tmp_path: Path, adapter: Path, config: object, told: str | None
) -> None:
    run = shutil.copytree(adapter, tmp_path / "run")
    (run / "config.json").write_text(json.dumps({"quantization_config": config}))
    assert _facts(choose(run, URI)).quantization == told


def test_merged_weights_are_a_whole_model(tmp_path: Path, base: Path, adapter: Path) -> None:
    assert choose(base, URI).kind == "model"
    run = tmp_path / "run"
    shutil.copytree(base, run / "merged")
    choice = choose(run, URI)
    assert (choice.name, choice.kind) == ("merged", "model")
    both = shutil.copytree(base, tmp_path / "both")
    shutil.copy(adapter / "adapter_config.json", both)  # unsloth forgets it there
    assert choose(both, URI).kind == "model"
    shutil.copy(adapter / "adapter_model.safetensors", both)
    assert choose(both, URI).kind == "adapter"


@pytest.mark.parametrize(
    ("names", "reason", "says"),
    [
        ([], "CheckpointNotFound", "it has nothing"),
        (["notes.txt", "run-1/x"], "CheckpointNotFound", "it has notes.txt, run-1"),
        (["adapter_config.json"], "CheckpointIncomplete", "trainer has saved"),
        (["config.json", "tokenizer.json"], "CheckpointIncomplete", "trainer has saved"),
        (["tmp-checkpoint-5/x"], "CheckpointIncomplete", "trainer has saved"),
        (["checkpoint-5/adapter_config.json"], "CheckpointIncomplete", "trainer has saved"),
        (["adapter_config.json", "adapter_model.bin"], "CheckpointUnsupported", "pickled weights"),
        (["config.json", "pytorch_model.bin"], "CheckpointUnsupported", "pickled weights"),
        (["consolidated.00.pth", "params.json"], "CheckpointUnsupported", "pickled weights"),
        (["checkpoint-5/adapter_model.bin"], "CheckpointUnsupported", "pickled weights"),
        (["checkpoint-5/global_step5/x", "checkpoint-5/latest"], "CheckpointUnsupported", "zero_to_fp32.py"),
        (["checkpoint-5/pytorch_model_fsdp_0/x"], "CheckpointUnsupported", "accelerate merge-weights"),
        (["__0_0.distcp", ".metadata"], "CheckpointUnsupported", "accelerate merge-weights"),
        (["adapter_0.pt", "recipe_state.pt"], "CheckpointUnsupported", "FullModelHFCheckpointer"),
        (["epoch_0/adapter_0.pt"], "CheckpointUnsupported", "FullModelHFCheckpointer"),
        (["adapter_config.json", "adapters.safetensors"], "CheckpointUnsupported", "mlx_lm.fuse"),
        (["adapters.npz"], "CheckpointUnsupported", "mlx_lm.fuse"),
        (["model-q4.gguf"], "CheckpointUnsupported", "GGUF"),
    ],
)
def test_a_run_without_weights_to_serve_is_told_by_what_it_has(
    tmp_path: Path, names: list[str], reason: str, says: str
) -> None:
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("{}")
    with pytest.raises(CheckpointError, match=URI) as refused:
        choose(tmp_path, URI)
    assert refused.value.reason == reason
    assert says in str(refused.value).replace("\n", " ")
