"""What trainers leave that cannot be served as it is: told by name, with what to run."""

import re
from collections.abc import Callable

from forge_inference.checkpoint.errors import CheckpointError

Names = set[str]
_THEN = "; an adapter then has to be loaded into its PEFT model and saved with save_pretrained"
GATHER = (
    "save with stage3_gather_16bit_weights_on_model_save, or gather them with `python zero_to_fp32.py . OUT "
    f"--safe_serialization`{_THEN}"
)
SHARDS = re.compile(r"global_step\d+|zero_to_fp32\.py|bf16_zero_pp_rank.*")


def _any(pattern: str) -> Callable[[Names], str | None]:
    """The first name that matches as a whole."""
    compiled = re.compile(pattern)
    return lambda names: next((name for name in sorted(names) if compiled.fullmatch(name)), None)


# In this order: a folder may have several of them, and the most telling one is told.
_KINDS: tuple[tuple[Callable[[Names], str | None], str, str], ...] = (
    (
        _any(r"adapters\.(safetensors|npz)"),
        "an adapter of mlx",
        "fuse it with `mlx_lm.fuse --de-quantize --save-path OUT` and name OUT",
    ),
    (
        _any(SHARDS.pattern),
        "shards of DeepSpeed ZeRO",
        GATHER,
    ),
    (
        _any(r"(pytorch_model_fsdp|optimizer)_\d+|.*\.distcp"),
        "shards of FSDP",
        "save with fsdp_state_dict_type FULL_STATE_DICT, or join them with `accelerate merge-weights "
        f"pytorch_model_fsdp_0 OUT`{_THEN}",
    ),
    (
        _any(r"adapter_\d+\.pt|(hf|torchtune)_model_\d+.*\.pt|recipe_state(\.pt)?|adapter_model\.pt"),
        "weights in torchtune's own format",
        "save with torchtune's FullModelHFCheckpointer and save_adapter_weights_only, which writes "
        "adapter_model.safetensors",
    ),
    (
        _any(r"adapter_model\.bin|pytorch_model.*\.bin(\.index\.json)?|consolidated.*\.pth|.*\.ckpt"),
        "pickled weights, which run their author's code when they are opened",
        "save them as safetensors (in PEFT and transformers: save_pretrained of a present version)",
    ),
    (
        _any(r".*\.gguf"),
        "weights of llama.cpp (GGUF)",
        "name the folder with adapter_model.safetensors that they were made from",
    ),
)


def refusal(uri: str, names: Names, inside: Names) -> CheckpointError:
    """Why nothing of a folder can be served. `inside`: the names in its latest checkpoint."""
    for where in (inside, names):
        for found, what, advice in _KINDS:
            if name := found(where):
                return CheckpointError(
                    "CheckpointUnsupported", f"Checkpoint {uri}: {name} is {what}; these are not served: {advice}."
                )
    begun = {"adapter_config.json", "config.json", "trainer_state.json", "training_args.bin"} & (names | inside)
    if begun or any(re.fullmatch(r"(tmp-)?checkpoint-\d+|epoch_\d+", name) for name in names):
        return CheckpointError(
            "CheckpointIncomplete",
            f"Checkpoint {uri} has no adapter_model.safetensors yet. It is looked at again until the trainer has "
            "saved; if the training has ended, save the adapter (trainer.save_model) or name another folder.",
        )
    some = ", ".join(sorted(names)[:5]) or "nothing"
    return CheckpointError(
        "CheckpointNotFound",
        f"Checkpoint {uri} has no adapter_model.safetensors and no model.safetensors; it has {some}. Correct "
        "spec.checkpoint.uri: it names the folder of a training run.",
    )
