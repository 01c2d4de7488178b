"""What is known of a training, from what trainers write as text. Facts: they decide nothing but what is told."""

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from forge_inference.checkpoint import files, readme
from forge_inference.checkpoint.errors import CheckpointError, Findings
from forge_inference.checkpoint.layout import CONFIG, MODEL_CONFIG, STATE, STATE_SIZE, WEIGHTS, Choice

MANIFEST = "forge_manifest.json"
QuantizationMatch = Literal["Match", "Mismatch", "Unknown"]
_SAME = 256 * 2**20  # bytes; larger weights are not compared to find out which step they are of


@dataclass(frozen=True)
class Facts:
    """None: no file says so."""

    trainer: str | None = None  # with its version, where that is written
    step: int | None = None
    epoch: float | None = None
    evaluation_loss: float | None = None
    best: str | None = None  # the folder that the trainer calls best
    base_model: str | None = None
    quantization: str | None = None  # what it was trained on: nf4, fp4, int8, none
    quantization_from: str | None = None  # file and key that say so
    versions: Mapping[str, str] = field(default_factory=dict)

    def matches(self, served: str) -> QuantizationMatch:
        """Whether the adapter's base model is held as it was in training."""
        if self.quantization is None:
            return "Unknown"
        return "Match" if self.quantization == served else "Mismatch"


def read(choice: Choice, findings: Findings) -> Facts:
    """Never raises: a file that cannot be read is noted."""
    look = _Look(choice, findings)
    card = readme.read(look.text("README.md"))
    manifest, config = look.json(MANIFEST), look.json(CONFIG)
    trainer = _trainer(look, card, manifest, config)
    step, epoch, loss, best = _progress(look)
    named = _text(manifest.get("base"), "id") or _known(config.get("base_model_name_or_path"))
    base = named or card.base_model or _known(look.json(MODEL_CONFIG).get("_name_or_path"))
    if base and card.base_model and base != card.base_model:
        findings.note(f"README.md names another base model ({card.base_model[:200]}) than {CONFIG} ({base[:200]})")
    quantization, source = _quantization(look, card, manifest, base)
    peft = config.get("peft_version")
    versions = {**({"PEFT": peft[:64]} if isinstance(peft, str) else {}), **card.versions}
    version = card.versions.get(trainer or "")
    return Facts(
        trainer=f"{trainer} {version}" if trainer and version else trainer,
        step=step,
        epoch=epoch,
        evaluation_loss=loss,
        best=best,
        base_model=base,
        quantization=quantization,
        quantization_from=source,
        versions=versions,
    )


class _Look:
    """Finds a file in the chosen folder, or else in the run's."""

    def __init__(self, choice: Choice, findings: Findings) -> None:
        self.choice, self._findings = choice, findings

    def text(self, name: str) -> str:
        return self._first(name, lambda path: files.text(path, self.choice.root)) or ""

    def json(self, name: str) -> dict[str, Any]:
        return self._first(name, lambda path: files.json_object(path, self.choice.root)) or {}

    def json_here(self, name: str, most: int = files.SMALL) -> dict[str, Any]:
        """Of the chosen folder alone: another's is of another step."""
        return self._read(self.choice.folder / name, lambda path: files.json_object(path, self.choice.root, most)) or {}

    def _first(self, name: str, read: Callable[[Path], Any]) -> Any:
        for folder in dict.fromkeys((self.choice.folder, self.choice.root)):
            if found := self._read(folder / name, read):
                return found
        return None

    def _read(self, path: Path, read: Callable[[Path], Any]) -> Any:
        try:
            return read(path)
        except FileNotFoundError:
            return None
        except (OSError, CheckpointError) as error:
            if path.name != CONFIG:  # which has its own judge
                self._findings.note(f"not read: {str(error).rstrip('.')}")
            return None


def _trainer(look: _Look, card: readme.Card, manifest: dict[str, Any], config: dict[str, Any]) -> str | None:
    names = {path.name for path in look.choice.root.iterdir()}
    if said := _text(manifest, "trainer"):
        return said
    if card.trainer in ("axolotl", "LLaMA-Factory", "unsloth"):
        return card.trainer
    if names & {"llamaboard_config.yaml", "training_args.yaml", "trainer_log.jsonl"}:
        return "LLaMA-Factory"
    mapping = config.get("auto_mapping")
    if str(config.get("base_model_name_or_path")).startswith("unsloth/") or (
        isinstance(mapping, dict) and mapping.get("unsloth_fixed")
    ):
        return "unsloth"
    if "recipe_state" in names or look.choice.folder.name.startswith("epoch_"):
        return "torchtune"
    return card.trainer or ("Transformers" if look.json(STATE) else None)


def _progress(look: _Look) -> tuple[int | None, float | None, float | None, str | None]:
    """Step, epoch, evaluation loss and the folder that is called best."""
    choice, state = look.choice, look.json_here(STATE, STATE_SIZE)
    step, epoch = _whole(state.get("global_step")), _finite(state.get("epoch"))
    best = re.split(r"[/\\]", str(state.get("best_model_checkpoint") or "").rstrip("/\\"))[-1] or None
    best_step = re.fullmatch(r"checkpoint-(\d{1,12})", best or "")
    if best_step and choice.name == "." and int(best_step[1]) != step and _same(choice, best or ""):
        # Loaded again at the end of the training: the final weights are the best ones, not the last ones.
        step, epoch = int(best_step[1]), None
    history = state.get("log_history")
    entries = [entry for entry in history if isinstance(entry, dict)] if isinstance(history, list) else []
    losses = [
        loss for entry in entries if entry.get("step") == step and (loss := _finite(entry.get("eval_loss"))) is not None
    ]
    if not losses and choice.name == ".":
        losses = [loss for name in _RESULTS if (loss := _finite(look.json_here(name).get("eval_loss"))) is not None]
    if step is None and (found := re.fullmatch(r"checkpoint-(\d{1,12})", choice.folder.name)):
        step = int(found[1])
    if epoch is None and (found := re.fullmatch(r"epoch_(\d{1,12})", choice.folder.name)):
        epoch = float(found[1])
    return step, epoch, losses[-1] if losses else None, best


_RESULTS = ("all_results.json", "eval_results.json")


def _same(choice: Choice, name: str) -> bool:
    """Whether the weights in the root are those of this checkpoint."""
    try:
        with (
            files.opened(choice.root / WEIGHTS, choice.root) as one,
            files.opened(choice.root / name / WEIGHTS, choice.root) as other,
        ):
            first = one.read(_SAME + 1)
            return len(first) <= _SAME and first == other.read(_SAME + 1)
    except (OSError, CheckpointError):
        return False


def _quantization(
    look: _Look, card: readme.Card, manifest: dict[str, Any], base: str | None
) -> tuple[str | None, str | None]:
    """What the base model was held as in training, and where that is written. PEFT and TRL write it nowhere."""
    said = manifest.get("quantization")
    if method := said if isinstance(said, str) else _text(said, "method"):
        return method.lower()[:32], f"{MANIFEST}: quantization"
    config = look.json(MODEL_CONFIG).get("quantization_config")
    arguments = readme.plain_yaml(look.text("training_args.yaml"))
    for found, source in (
        (_of_bitsandbytes(config), f"{MODEL_CONFIG}: quantization_config"),
        (_of_llama_factory(arguments), "training_args.yaml: quantization_bit"),
        (_of_axolotl(card.axolotl), "README.md: axolotl config"),
        ("nf4" if (base or "").endswith("-bnb-4bit") else None, f"{CONFIG}: base_model_name_or_path"),
    ):
        if found:
            return found, source
    return None, None


def _of_bitsandbytes(config: Any) -> str | None:
    if not isinstance(config, dict):
        return None
    if config.get("load_in_8bit"):
        return "int8"
    kind = config.get("bnb_4bit_quant_type", "fp4")
    return str(kind)[:32] if config.get("load_in_4bit") else str(config.get("quant_method", ""))[:32] or None


def _of_llama_factory(arguments: Mapping[str, Any]) -> str | None:
    if "model_name_or_path" not in arguments:
        return None
    bits = arguments.get("quantization_bit")
    if arguments.get("quantization_method", "bnb") not in ("bnb", "bitsandbytes"):
        return str(arguments["quantization_method"])[:32]
    if bits == 4:
        return str(arguments.get("quantization_type", "nf4"))[:32]
    return "int8" if bits == 8 else "none" if bits in (None, "none") else None


def _of_axolotl(config: Mapping[str, Any]) -> str | None:
    if "base_model" not in config:
        return None
    if config.get("load_in_8bit") is True:
        return "int8"
    return "nf4" if config.get("load_in_4bit") is True else "none"


def _text(where: Any, key: str) -> str | None:
    value = where.get(key) if isinstance(where, Mapping) else None
    return value[:256] if isinstance(value, str) and value else None


def _known(name: Any) -> str | None:
    return name[:1024] if isinstance(name, str) and name not in ("", "None") else None


def _whole(value: Any) -> int | None:
    return value if type(value) is int and 0 <= value < 2**53 else None


def _finite(value: Any) -> float | None:
    """A number that fits a status."""
    if isinstance(value, bool) or not isinstance(value, int | float) or abs(value) > 1e6 or not math.isfinite(value):
        return None
    return float(json.dumps(float(value)))
