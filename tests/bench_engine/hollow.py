"""A model of any size without its weights on disk: files that hold nothing where weights would be, and random ones
that are made on the GPU when the model is loaded. Writing and reading 16 GB takes longer than measuring."""

import json
import math
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from bitsandbytes.nn import Linear4bit, Params4bit
from safetensors.torch import save_file
from torch import nn
from transformers import AutoConfig, LlamaForCausalLM

from tests.support.checkpoints import Shape, a_real_pair


def a_hollow_pair(folder: Path, shape: Shape, rank: int) -> tuple[Path, Path]:
    """A base model as `a_real_pair` makes it, of this shape, and a small adapter that is whole."""
    base, adapter = a_real_pair(folder, rank=rank)
    config = json.loads((base / "config.json").read_text()) | {
        "vocab_size": shape.vocabulary,
        "hidden_size": shape.hidden,
        "intermediate_size": shape.inner,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.key_value_heads,
        "head_dim": shape.hidden // shape.heads,
        "max_position_embeddings": shape.length,
        "dtype": "bfloat16",
    }
    (base / "config.json").write_text(json.dumps(config))
    with torch.device("meta"):
        weights = LlamaForCausalLM(AutoConfig.from_pretrained(base)).state_dict()
    _hollow(base / "model.safetensors", {name: tuple(weight.shape) for name, weight in weights.items()})
    low = {}
    for name, weight in weights.items():
        layer = f"base_model.model.{name.removesuffix('.weight')}"
        if name.endswith(("q_proj.weight", "down_proj.weight")):
            low[f"{layer}.lora_A.weight"] = torch.randn(rank, weight.shape[1]) / math.sqrt(weight.shape[1])
            low[f"{layer}.lora_B.weight"] = torch.randn(weight.shape[0], rank) / 100
    save_file(low, adapter / "adapter_model.safetensors")
    return base, adapter


def _hollow(path: Path, shapes: dict[str, tuple[int, ...]]) -> None:
    header, at = {}, 0
    for name, shape in shapes.items():
        end = at + 2 * math.prod(shape)
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [at, end]}
        at = end
    text = json.dumps(header).encode()
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.truncate(8 + len(text) + at)


@contextmanager
def filled(device: str) -> Iterator[None]:
    """The engine loads random weights wherever it would have read some."""
    read = "forge_inference.engine.loading.AutoModelForCausalLM.from_pretrained"
    with patch(read, lambda *where, **how: _made(device, *where, **how)):
        yield


def _made(
    device: str, folder: Path, dtype: torch.dtype, quantization_config: Any = None, **_: Any
) -> tuple[nn.Module, dict[str, list[str]]]:
    config = AutoConfig.from_pretrained(folder)
    torch.manual_seed(0)
    with torch.device(device):
        model = LlamaForCausalLM._from_config(config, dtype=dtype)
    if quantization_config:
        for name, layer in list(model.named_modules()):
            if isinstance(layer, nn.Linear) and name != "lm_head":
                parent, _, own = name.rpartition(".")
                setattr(model.get_submodule(parent), own, _in_four_bits(layer, dtype))
    if device == "cuda":
        torch.cuda.empty_cache()
    return model, {"missing_keys": []}


def _in_four_bits(layer: nn.Linear, dtype: torch.dtype) -> Linear4bit:
    made = Linear4bit(
        layer.in_features, layer.out_features, bias=False, compute_dtype=dtype, quant_type="nf4", device="meta"
    )
    made.weight = Params4bit(layer.weight.data, requires_grad=False, quant_type="nf4", module=made)
    return made.to(layer.weight.device)
