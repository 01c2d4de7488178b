"""Makes tiny Llama-shaped base models and LoRA adapters on disk, without torch. Random, and the same every time."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

Tensors = dict[str, NDArray[Any]]

# Multiples of 64: bitsandbytes' CPU kernel takes no others.
HIDDEN, INNER, VOCABULARY, LAYERS, RANK = 128, 192, 320, 2, 4
SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
_SHAPES = {
    "self_attn.q_proj": (HIDDEN, HIDDEN),
    "self_attn.k_proj": (HIDDEN // 2, HIDDEN),
    "self_attn.v_proj": (HIDDEN // 2, HIDDEN),
    "self_attn.o_proj": (HIDDEN, HIDDEN),
    "mlp.gate_proj": (INNER, HIDDEN),
    "mlp.up_proj": (INNER, HIDDEN),
    "mlp.down_proj": (HIDDEN, INNER),
}
_TARGETS = ("self_attn.q_proj", "mlp.down_proj")


def a_base(folder: Path, *, config: Mapping[str, Any] | None = None, drop: tuple[str, ...] = ()) -> Path:
    """A base model with tokenizer and chat template; `config` adds to config.json, `drop` names files to leave out."""
    folder.mkdir(parents=True)
    random = np.random.default_rng(1)
    weights = {
        "model.embed_tokens.weight": _normal(random, VOCABULARY, HIDDEN, scale=1.0),
        "lm_head.weight": _normal(random, VOCABULARY, HIDDEN, scale=0.3),
        "model.norm.weight": np.ones(HIDDEN, np.float32),
    }
    for layer in range(LAYERS):
        for name, shape in _SHAPES.items():
            weights[f"model.layers.{layer}.{name}.weight"] = _normal(random, *shape, scale=0.1)
        for name in ("input_layernorm", "post_attention_layernorm"):
            weights[f"model.layers.{layer}.{name}.weight"] = np.ones(HIDDEN, np.float32)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    content = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": HIDDEN,
        "intermediate_size": INNER,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "vocab_size": VOCABULARY,
        "max_position_embeddings": 512,
        "tie_word_embeddings": False,
        "bos_token_id": 1,
        "eos_token_id": 0,
    }
    (folder / "config.json").write_text(json.dumps({**content, **(config or {})}))
    _tokenizer(folder)
    for name in drop:
        (folder / name).unlink()
    return folder


def adapter_tensors(*, scale: float = 0.3) -> Tensors:
    """Tensors of an adapter for `a_base`, by the names that PEFT gives them; `scale` 0 is an untrained one."""
    random = np.random.default_rng(2)
    tensors: Tensors = {}
    for layer in range(LAYERS):
        for name in _TARGETS:
            out, into = _SHAPES[name]
            prefix = f"base_model.model.model.layers.{layer}.{name}"
            tensors[f"{prefix}.lora_A.weight"] = _normal(random, RANK, into, scale=0.3)
            tensors[f"{prefix}.lora_B.weight"] = _normal(random, out, RANK, scale=scale)
    return tensors


def an_adapter(folder: Path, tensors: Tensors | None = None, **config: Any) -> Path:
    """A trained adapter for `a_base`; `config` replaces keys of adapter_config.json, and ... (Ellipsis) removes one."""
    folder.mkdir(parents=True)
    save_file(adapter_tensors() if tensors is None else tensors, folder / "adapter_model.safetensors")
    content = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": "lab/tiny",
        "r": RANK,
        "lora_alpha": 8,
        "bias": "none",
        "target_modules": ["q_proj", "down_proj"],
        **config,
    }
    kept = {key: value for key, value in content.items() if value is not ...}
    (folder / "adapter_config.json").write_text(json.dumps(kept))
    return folder


def _tokenizer(folder: Path) -> None:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[AddedToken(token, special=True, normalized=False) for token in SPECIAL],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(["the gene codes for a protein that binds the other protein"] * 4, trainer)
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": SPECIAL[1],
        "eos_token": SPECIAL[0],
        "chat_template": _TEMPLATE,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config))


def _normal(random: np.random.Generator, *shape: int, scale: float) -> NDArray[np.float32]:
    return (random.standard_normal(shape) * scale).astype(np.float32)
