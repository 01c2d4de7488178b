"""Small base models and adapters on disk, and ways to break them."""

import json
import shutil
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

WIDTH, RANK = 64, 4
MODULE = "model.layers.0.self_attn.q_proj"
A, B = f"base_model.model.{MODULE}.lora_A.weight", f"base_model.model.{MODULE}.lora_B.weight"


def safetensors(path: Path, tensors: dict[str, np.ndarray[Any, Any]]) -> None:
    """Write a file as the format's page describes it, in float32."""
    header, data = {}, b""
    for name, values in tensors.items():
        raw = values.astype("<f4").tobytes()
        header[name] = {"dtype": "F32", "shape": list(values.shape), "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def a_base(folder: Path) -> Path:
    """The least that is taken for a base model: its weights are one layer."""
    folder.mkdir()
    (folder / "config.json").write_text('{"model_type": "llama"}')
    (folder / "tokenizer.json").write_text("{}")
    safetensors(folder / "model.safetensors", {f"{MODULE}.weight": np.ones((WIDTH, WIDTH))})
    return folder


def an_adapter(folder: Path, **config: Any) -> Path:
    """An adapter for it; `config` changes adapter_config.json, None removes a key."""
    folder.mkdir()
    whole = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "r": RANK,
        "lora_alpha": 8,
        "target_modules": ["q_proj"],
        "base_model_name_or_path": "org/base",
        "bias": "none",
        "modules_to_save": None,
        **config,
    }
    (folder / "adapter_config.json").write_text(json.dumps(whole))
    safetensors(folder / "adapter_model.safetensors", {A: np.ones((RANK, WIDTH)), B: np.ones((WIDTH, RANK))})
    return folder


@dataclass(frozen=True)
class Shape:
    """Of a Llama. `length`: the longest prompt and answer together, in tokens."""

    hidden: int = 64
    inner: int = 128
    layers: int = 2
    heads: int = 2
    key_value_heads: int = 1
    vocabulary: int = 320
    length: int = 512


def a_real_pair(
    folder: Path,
    *,
    seed: int = 0,
    shape: Shape = Shape(),
    rank: int = 4,
    dtype: str = "float32",
    device: str = "cpu",
) -> tuple[Path, Path]:
    """Base model and adapter that transformers and PEFT made, with random weights and a tokenizer of bytes."""
    import torch
    from peft import LoraConfig, get_peft_model
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    torch.manual_seed(seed)
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: number for number, token in enumerate(["<|end|>", "<|user|>", *letters])}
    raw = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=raw, eos_token="<|end|>", additional_special_tokens=["<|user|>"]
    )
    tokenizer.chat_template = "{% for m in messages %}<|user|>{{ m['content'] }}{% endfor %}"
    config = LlamaConfig(
        vocab_size=shape.vocabulary,
        hidden_size=shape.hidden,
        intermediate_size=shape.inner,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.key_value_heads,
        eos_token_id=0,
        bos_token_id=None,
        max_position_embeddings=shape.length,
        dtype=dtype,
    )
    base, adapter = folder / "base", folder / "adapter"
    with torch.device(device):
        model = LlamaForCausalLM._from_config(config, dtype=getattr(torch, dtype))
    model.save_pretrained(base)
    tokenizer.save_pretrained(base)
    tuned = get_peft_model(
        model, LoraConfig(r=rank, lora_alpha=8 * rank, target_modules=["q_proj", "down_proj"], init_lora_weights=False)
    )
    tuned.peft_config["default"].task_type = "CAUSAL_LM"
    tuned.save_pretrained(adapter)
    return base, adapter


def without_effect(adapter: Path, folder: Path) -> None:
    """A copy of an adapter whose B matrices are zero, as before the first step of a training."""
    from safetensors.numpy import load_file, save_file

    shutil.copytree(adapter, folder)
    weights = folder / "adapter_model.safetensors"
    save_file({name: values * ("lora_B" not in name) for name, values in load_file(weights).items()}, weights)


def cut_short(adapter: Path, folder: Path) -> None:
    """A copy of an adapter of which half the weights' file arrived."""
    shutil.copytree(adapter, folder)
    weights = folder / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[: weights.stat().st_size // 2])
