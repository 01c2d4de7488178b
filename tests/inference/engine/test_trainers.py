"""What trainers leave is served with the same tokens as PEFT gives in its own process."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.numpy import load_file, save_file
from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig

from forge_inference.engine.batching import BatchingEngine
from forge_inference.engine.contract import Loaded, Request
from forge_inference.engine.errors import LoadError, UnknownAdapter
from forge_inference.web.provenance import report
from tests.inference.engine.conftest import NF4, PLAIN, QUIET
from tests.inference.engine.tiny import a_base
from tests.support.trainers import LAYOUTS

pytestmark = [
    pytest.mark.model,
    QUIET,
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::UserWarning"),
]
Make = Callable[..., BatchingEngine]
PROMPTS = ("What binds the protein?", "the gene codes")
NEW = 12
FOUR_BITS = BitsAndBytesConfig(
    load_in_4bit=True,
    bnb_4bit_quant_type="nf4",
    bnb_4bit_use_double_quant=True,
    bnb_4bit_compute_dtype=torch.float32,
)


def _base_in(base: Path, four_bits: bool) -> Any:
    quantization = {"quantization_config": FOUR_BITS} if four_bits else {}
    return AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32, device_map={"": "cpu"}, **quantization)


def _by_peft(base: Path, adapter: Path, *, four_bits: bool = False) -> list[list[int]]:
    """Greedy tokens, one prompt at a time."""
    return _generated(PeftModel.from_pretrained(_base_in(base, four_bits), adapter), base)


def _generated(model: Any, tokens: Path) -> list[list[int]]:
    tokenizer = AutoTokenizer.from_pretrained(tokens)
    found = []
    for prompt in PROMPTS:
        inputs = tokenizer(prompt, return_tensors="pt")
        new = model.eval().generate(**inputs, max_new_tokens=NEW, do_sample=False, eos_token_id=[0, 2], pad_token_id=0)
        found.append(new[0, inputs.input_ids.shape[1] :].tolist())
    return found


async def _by_engine(engine: BatchingEngine) -> list[list[int]]:
    assert engine.failure() is None
    return [[chunk.token async for chunk in engine.generate(Request(prompt, NEW, chat=False))] for prompt in PROMPTS]


def _served(engine: BatchingEngine) -> Loaded:
    loaded = engine.loaded()
    assert loaded is not None, engine.failure()
    return loaded


def _tuned(base: Path, **config: Any) -> Any:
    """A model of PEFT with random LoRA weights."""
    torch.manual_seed(3)
    asked = {"r": 4, "lora_alpha": 16, "target_modules": ["q_proj", "down_proj"], "task_type": "CAUSAL_LM", **config}
    model = get_peft_model(_base_in(base, four_bits=False), LoraConfig(**asked))
    for name, values in model.named_parameters():
        if "lora_" in name:
            torch.nn.init.normal_(values, std=0.2)
    return model


@pytest.fixture(scope="module")
def saved(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An adapter as PEFT saves it."""
    folder = tmp_path_factory.mktemp("saved") / "adapter"
    _tuned(base).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def run(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A QLoRA training by TRL."""
    from datasets import Dataset
    from trl import SFTConfig, SFTTrainer

    folder = tmp_path_factory.mktemp("trl") / "run"
    rows = Dataset.from_list([{"text": "the gene codes for a protein that binds"}] * 8)
    trainer = SFTTrainer(
        model=_base_in(base, four_bits=True),
        args=SFTConfig(
            output_dir=str(folder),
            max_steps=6,
            per_device_train_batch_size=2,
            learning_rate=5e-2,
            save_steps=2,
            eval_steps=2,
            eval_strategy="steps",
            load_best_model_at_end=True,
            report_to=[],
            use_cpu=True,
            bf16=False,
            gradient_checkpointing=False,
            max_length=64,
            disable_tqdm=True,
        ),
        train_dataset=rows,
        eval_dataset=rows,
        processing_class=AutoTokenizer.from_pretrained(base),
        peft_config=LoraConfig(r=4, lora_alpha=8, target_modules=["q_proj", "down_proj"], task_type="CAUSAL_LM"),
    )
    trainer.train()
    trainer.save_model()
    trainer.save_state()
    return folder


async def test_a_run_of_trl_is_served_as_peft_does(make: Make, base: Path, run: Path) -> None:
    engine = make(checkpoint=run, quantization=NF4)
    assert await _by_engine(engine) == _by_peft(base, run, four_bits=True)
    state = json.loads((run / "trainer_state.json").read_text())
    checkpoint = _served(engine).checkpoint
    assert str(checkpoint.trainer).startswith("TRL 1.")
    assert (checkpoint.folder, checkpoint.step) == (".", state["best_global_step"])
    assert checkpoint.evaluation_loss == pytest.approx(state["best_metric"])
    assert checkpoint.quantization_match == "Unknown"  # TRL writes it nowhere


async def test_a_run_of_trl_that_was_stopped_is_served_from_its_best_checkpoint(
    make: Make, base: Path, run: Path, tmp_path: Path
) -> None:
    stopped = tmp_path / "stopped"
    shutil.copytree(run, stopped)
    (stopped / "adapter_model.safetensors").unlink()
    engine = make(checkpoint=stopped, quantization=NF4)
    best = Path(json.loads((run / "trainer_state.json").read_text())["best_model_checkpoint"]).name
    assert _served(engine).checkpoint.folder == best
    assert await _by_engine(engine) == _by_peft(base, run / best, four_bits=True)


@pytest.mark.parametrize("trainer", LAYOUTS)
async def test_the_run_of_each_trainer_is_served_as_peft_does(
    make: Make, base: Path, saved: Path, tmp_path: Path, trainer: str
) -> None:
    engine = make(checkpoint=LAYOUTS[trainer](tmp_path / "run", base, saved), quantization=NF4)
    assert await _by_engine(engine) == _by_peft(base, saved, four_bits=True)
    known = trainer in ("axolotl", "LLaMA-Factory", "unsloth")
    said = report(_served(engine), "m")["checkpoint"]
    assert said["quantizationMatch"] == ("Match" if known else "Unknown")
    assert not (tmp_path / "canary").exists()


@pytest.mark.parametrize(
    "config",
    [
        pytest.param({"use_rslora": True}, id="rsLoRA"),
        pytest.param({"rank_pattern": {"q_proj": 8}}, id="a rank of its own"),
        pytest.param({"alpha_pattern": {"layers.1.mlp.down_proj": 64}}, id="a scale of its own"),
        pytest.param(
            {
                "use_rslora": True,
                "rank_pattern": {"^model.layers.0.self_attn.q_proj": 2},
                "alpha_pattern": {"q_proj": 4},
            },
            id="all of them",
        ),
        pytest.param({"layers_to_transform": [1]}, id="one layer"),
        pytest.param({"exclude_modules": ["layers.0.mlp.down_proj"]}, id="all but one module"),
        pytest.param({"target_modules": "all-linear"}, id="every linear layer"),
        pytest.param({"target_modules": r".*\.(q|v)_proj"}, id="a pattern"),
        pytest.param({"target_modules": ["q_proj", "lm_head"]}, id="the head"),
    ],
)
async def test_what_lora_can_be_told_is_served_as_peft_does(
    make: Make, base: Path, tmp_path: Path, config: dict[str, Any]
) -> None:
    model = _tuned(base, **config)
    model.save_pretrained(tmp_path / "run", save_embedding_layers=False)
    tokens = _generated(model, base)
    assert await _by_engine(make(checkpoint=tmp_path / "run")) == tokens
    with model.disable_adapter():
        assert _generated(model, base) != tokens


async def test_the_head_of_a_model_that_has_none_of_its_own(make: Make, tmp_path: Path) -> None:
    base = a_base(tmp_path / "base", config={"tie_word_embeddings": True})
    weights = load_file(base / "model.safetensors")
    del weights["lm_head.weight"]
    save_file(weights, base / "model.safetensors", metadata={"format": "pt"})
    tuned = _tuned(base, target_modules=["lm_head"])
    tuned.save_pretrained(tmp_path / "run", save_embedding_layers=False)
    assert await _by_engine(make(checkpoint=tmp_path / "run", base_model=base)) == _generated(tuned, base)


@pytest.mark.parametrize("four_bits", [False, True])
async def test_a_merged_model_is_served_as_it_is(make: Make, base: Path, tmp_path: Path, four_bits: bool) -> None:
    merged = _tuned(base).merge_and_unload()
    merged.save_pretrained(tmp_path / "merged")  # and no tokenizer: the base model's is taken
    if four_bits:
        merged = _base_in(tmp_path / "merged", four_bits=True)
        merged.save_pretrained(tmp_path / "stored")
    folder = tmp_path / ("stored" if four_bits else "merged")
    engine = make(checkpoint=folder, quantization=PLAIN)
    assert await _by_engine(engine) == _generated(merged, base)
    loaded = _served(engine)
    said = report(loaded, "m")
    assert (loaded.effect, said["adapterEffect"], said["checkpoint"]["kind"]) == (None, None, "model")
    assert said["checkpoint"]["rank"] is None
    assert loaded.quantization.method == ("nf4" if four_bits else "none")
    with pytest.raises(UnknownAdapter, match="whole model"):
        await anext(engine.generate(Request("x", 1, adapter=None)))


async def test_a_base_model_in_four_bits_is_compared_by_the_shapes_that_it_had(
    make: Make, base: Path, saved: Path, tmp_path: Path
) -> None:
    stored = a_base(tmp_path / "stored", drop=("model.safetensors", "config.json"))
    _base_in(base, four_bits=True).save_pretrained(stored)
    engine = make(checkpoint=LAYOUTS["unsloth"](tmp_path / "run", base, saved), base_model=stored)
    assert _served(engine).checkpoint.quantization_match == "Match"
    assert await _by_engine(engine) == _by_peft(base, saved, four_bits=True)
    other = tmp_path / "other"
    shutil.copytree(saved, other)
    _narrower(other / "adapter_model.safetensors")
    failure = make(checkpoint=other, base_model=stored).failure()
    assert isinstance(failure, LoadError)
    assert failure.reason == "BaseModelMismatch"
    assert "[128, 96], the base model's have [128, 128]" in str(failure)


def _narrower(path: Path) -> None:
    def cut(name: str, values: Any) -> Any:
        return np.ascontiguousarray(values[:, :96]) if "q_proj.lora_A" in name else values

    save_file({name: cut(name, values) for name, values in load_file(path).items()}, path)


def test_the_chat_template_is_the_checkpoints_own(make: Make, saved: Path, tmp_path: Path) -> None:
    run = shutil.copytree(saved, tmp_path / "run")
    (run / "chat_template.jinja").write_text("{% for m in messages %}Q: {{ m['content'] }} A:{% endfor %}")
    engine = make(checkpoint=run)
    assert _served(engine)
    assert str(engine.tokenizer_info()["chat_template"]).startswith("{% for m in messages %}Q:")


def test_files_that_change_under_a_server_are_noticed(make: Make, saved: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(saved, run / "checkpoint-1")
    loaded = _served(make(checkpoint=run))

    def changed() -> bool:
        return bool(report(loaded, "m")["checkpoint"]["changedOnDisk"])

    assert not changed()
    (run / "notes.txt").write_text("not a file that was read")
    assert not changed()
    shutil.copytree(saved, run / "checkpoint-2")  # what a server that starts now would take
    assert changed()
    shutil.rmtree(run / "checkpoint-2")
    assert not changed()
    config = run / "checkpoint-1/adapter_config.json"
    config.write_text(config.read_text().replace("16", "17"))
    assert changed()
    shutil.rmtree(run)
    assert changed()
