"""The folders that trainers leave, file by file, around weights that PEFT saved.

The layouts are those of each trainer's documentation; docs/guides/serve-what-you-trained.md describes them.
"""

import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

BASE_NAME = "lab/tiny"
VERSIONS = "### Framework versions\n\n- PEFT 0.17.1\n- Transformers 4.57.1\n- Pytorch 2.8.0\n"


class Canary:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self._path,))


def a_pickle(path: Path, canary: Path) -> None:
    """What a trainer leaves beside the weights, and what nobody may open."""
    path.write_bytes(pickle.dumps(Canary(canary)))


def _adapter(source: Path, folder: Path, **config: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(source / "adapter_model.safetensors", folder)
    content = json.loads((source / "adapter_config.json").read_text())
    (folder / "adapter_config.json").write_text(json.dumps({**content, "base_model_name_or_path": BASE_NAME, **config}))
    return folder


def _tokenizer(base: Path, folder: Path) -> None:
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(base / name, folder)


def _state(folder: Path, step: int, *, best: str | None = None, losses: dict[int, float] | None = None) -> None:
    history: list[dict[str, float]] = [{"step": number, "loss": 2.0} for number in range(1, step + 1)]
    history += [{"step": number, "eval_loss": loss, "epoch": number / 4} for number, loss in (losses or {}).items()]
    content = {
        "best_metric": None,
        "best_model_checkpoint": f"/scratch/user/run/{best}" if best else None,
        "epoch": step / 4,
        "global_step": step,
        "log_history": history,
    }
    (folder / "trainer_state.json").write_text(json.dumps(content))


def transformers(folder: Path, base: Path, adapter: Path) -> Path:
    """A run of the Trainer that was stopped: checkpoints alone, the second of three being the best."""
    losses: dict[int, float] = {}
    for step, loss in ((4, 0.9), (8, 0.5), (12, 0.7)):
        losses[step] = loss
        inside = _adapter(adapter, folder / f"checkpoint-{step}")
        _tokenizer(base, inside)
        _state(inside, step, best="checkpoint-8" if step >= 8 else "checkpoint-4", losses=losses)
        for name in ("optimizer.pt", "scheduler.pt", "rng_state.pth", "training_args.bin"):
            a_pickle(inside / name, folder.parent / "canary")
    return folder


def axolotl(folder: Path, base: Path, adapter: Path) -> Path:
    """config.json and tokenizer of the base model in the root from the beginning; checkpoints without a tokenizer."""
    _adapter(adapter, folder)
    _tokenizer(base, folder)
    shutil.copy(base / "config.json", folder)
    (folder / "README.md").write_text(
        f"---\nlibrary_name: peft\nbase_model: {BASE_NAME}\ntags:\n- axolotl\n- generated_from_trainer\n---\n\n"
        "<details><summary>See axolotl config</summary>\n\naxolotl version: `0.12.2`\n```yaml\n"
        f"base_model: {BASE_NAME}\nload_in_4bit: true\nadapter: qlora\nlora_r: 4\n```\n\n</details><br>\n\n{VERSIONS}"
    )
    inside = _adapter(adapter, folder / "checkpoint-12")
    _state(inside, 12)
    merged = folder / "merged"
    shutil.copytree(base, merged)
    return folder


def llama_factory(folder: Path, base: Path, adapter: Path) -> Path:
    """Results, logs and the arguments, which alone know the quantisation."""
    _adapter(adapter, folder)
    _tokenizer(base, folder)
    _state(folder, 12, losses={12: 0.25})
    (folder / "README.md").write_text(
        f"---\nlibrary_name: peft\nbase_model: {BASE_NAME}\ntags:\n- base_model:adapter:{BASE_NAME}\n- llama-factory\n"
        f"- lora\n---\n\n{VERSIONS}"
    )
    (folder / "training_args.yaml").write_text(
        f"model_name_or_path: {BASE_NAME}\nquantization_bit: 4\nquantization_method: bnb\ntemplate: qwen\n"
    )
    (folder / "llamaboard_config.yaml").write_text("top.quantization_bit: '4'\n")
    for name in ("all_results.json", "train_results.json"):
        (folder / name).write_text(json.dumps({"epoch": 3.0, "eval_loss": 0.25}))
    for name in ("trainer_log.jsonl", "running_log.txt", "training_loss.png"):
        (folder / name).write_text("{}\n")
    a_pickle(folder / "training_args.bin", folder.parent / "canary")
    return folder


def unsloth(folder: Path, base: Path, adapter: Path) -> Path:
    """The base model's pre-quantised alias, target modules as a pattern, and config.json beside the adapter."""
    mapping = {
        "base_model_class": "LlamaForCausalLM",
        "parent_library": "transformers.models.llama.modeling_llama",
        "unsloth_fixed": True,
    }
    pattern = r"(?:.*?(?:self_attn|mlp).*?(?:q_proj|down_proj))"
    _adapter(
        adapter,
        folder,
        base_model_name_or_path="unsloth/tiny-unsloth-bnb-4bit",
        auto_mapping=mapping,
        target_modules=pattern,
    )
    _tokenizer(base, folder)
    shutil.copy(base / "config.json", folder)
    (folder / "README.md").write_text(
        "---\nbase_model: unsloth/tiny-unsloth-bnb-4bit\ntags:\n- text-generation-inference\n- unsloth\n- trl\n---\n"
    )
    return folder


def torchtune(folder: Path, base: Path, adapter: Path) -> Path:
    """An epoch's folder each, in PEFT's format, and the state to go on from."""
    for epoch in (0, 1):
        inside = _adapter(adapter, folder / f"epoch_{epoch}")
        _tokenizer(base, inside)
        a_pickle(inside / "adapter_model.pt", folder.parent / "canary")
    (folder / "recipe_state").mkdir()
    a_pickle(folder / "recipe_state/recipe_state.pt", folder.parent / "canary")
    (folder / "torchtune_config.yaml").write_text("model: {_component_: torchtune.models.llama3_2.lora_llama3_2_1b}\n")
    return folder


def deepspeed(folder: Path, base: Path, adapter: Path) -> Path:
    """ZeRO-3 whose weights were gathered when saving: the shards beside them are for going on."""
    inside = _adapter(adapter, folder / "checkpoint-12")
    _state(inside, 12)
    (inside / "latest").write_text("global_step12")
    (inside / "zero_to_fp32.py").write_text("raise SystemExit('not to be run')\n")
    shards = inside / "global_step12"
    shards.mkdir()
    a_pickle(shards / "bf16_zero_pp_rank_0_mp_rank_00_optim_states.pt", folder.parent / "canary")
    return folder


Layout = Callable[[Path, Path, Path], Path]
LAYOUTS: dict[str, Layout] = {
    "Transformers": transformers,
    "axolotl": axolotl,
    "LLaMA-Factory": llama_factory,
    "unsloth": unsloth,
    "torchtune": torchtune,
    "DeepSpeed": deepspeed,
}
