"""Which folder of a training run holds what is to be served.

Each trainer has its own way: docs/guides/serve-what-you-trained.md. Nothing is opened here but trainer_state.json.
"""

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from forge_inference.checkpoint import files, strangers
from forge_inference.checkpoint.errors import CheckpointError

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
MODEL_CONFIG, MODEL_WEIGHTS, MODEL_INDEX = "config.json", "model.safetensors", "model.safetensors.index.json"
STATE = "trainer_state.json"
STATE_SIZE = 8 * 2**20  # bytes: it has an entry for each logged step
_STEP = re.compile(r"(?:checkpoint-|epoch_)(\d{1,12})")
_LAST, _MERGED = "last-checkpoint", "merged"
_MOST = 10_000  # entries of a folder

Kind = Literal["adapter", "model"]


@dataclass(frozen=True)
class Choice:
    """A folder with weights: `root` itself, or one inside it."""

    root: Path
    folder: Path
    kind: Kind  # adapter: LoRA beside a base model. model: a whole one, merged or fully fine-tuned
    why: str
    alternatives: tuple[str, ...] = ()  # other folders of the run that could be named

    @property
    def name(self) -> str:
        """Seen from the root, `.` for the root itself."""
        return self.folder.relative_to(self.root).as_posix()


def choose(root: Path, uri: str) -> Choice:
    """The weights in `root` itself, else the best checkpoint inside, else the last one.

    `uri` is what the manifest said. Raises CheckpointError when there is nothing that can be served.
    """
    if not root.is_dir():
        raise CheckpointError(
            "CheckpointNotFound",
            f"Checkpoint {uri}: there is no folder {root}; correct spec.checkpoint.uri or the volume.",
        )
    names = entries(root)
    inside = {name: kind for name in sorted(names, key=_order) if (kind := _kind_inside(root, name))}
    if own := _kind(names):
        return Choice(root, root, own, "the folder itself has weights", tuple(inside))
    for chosen, why in (_best(root, inside), _last(inside), (_MERGED, "the run has merged weights, and no others")):
        if chosen in inside:
            others = tuple(name for name in inside if name != chosen)
            return Choice(root, root / chosen, inside[chosen], why, others)
    stages = [name for name in sorted(names, key=_order) if _is_stage(name) and (root / name).is_dir()]
    if outside := next((name for name in stages if not _lies_inside(root, name)), None):
        raise CheckpointError(
            "CheckpointInvalid",
            f"{outside} is a link that leads out of the checkpoint's folder; name that place in spec.checkpoint.uri.",
        )
    deepest = entries(root / stages[-1]) if stages else set()
    raise strangers.refusal(uri, names, deepest)


def entries(folder: Path) -> set[str]:
    """Names in a folder. Raises CheckpointError for more than any training leaves."""
    names = set()
    with os.scandir(folder) as found:
        for entry in found:
            names.add(entry.name)
            if len(names) > _MOST:
                raise CheckpointError(
                    "CheckpointInvalid",
                    f"{folder.name} has more than {_MOST:,} entries; name the folder of one training run.",
                )
    return names


def _kind(names: set[str]) -> Kind | None:
    if WEIGHTS in names:
        return "adapter"
    # An adapter_config.json without an adapter beside whole weights is what unsloth leaves after merging.
    return "model" if MODEL_CONFIG in names and names & {MODEL_WEIGHTS, MODEL_INDEX} else None


def _kind_inside(root: Path, name: str) -> Kind | None:
    return _kind(entries(root / name)) if _is_stage(name) and _lies_inside(root, name) else None


def _is_stage(name: str) -> bool:
    return name in (_LAST, _MERGED) or _STEP.fullmatch(name) is not None


def _lies_inside(root: Path, name: str) -> bool:
    folder = root / name
    try:
        return folder.is_dir() and folder.resolve().is_relative_to(root.resolve())
    except (OSError, RuntimeError):  # a link that leads to itself
        return False


def _order(name: str) -> tuple[int, str]:
    """By step; without one first, as `last-checkpoint` stands alone where it is used."""
    step = _STEP.fullmatch(name)
    return (int(step[1]) if step else -1, name)


def _best(root: Path, inside: dict[str, Kind]) -> tuple[str, str]:
    """What the trainer's own record calls best: by the last part of its path, which is of the trainer's machine."""
    for folder in (root, *(root / name for name in reversed(inside))):
        try:
            state = files.json_object(folder / STATE, root, STATE_SIZE)
        except (OSError, CheckpointError):  # `facts` notes what is wrong with it
            continue
        name = re.split(r"[/\\]", str(state.get("best_model_checkpoint") or "").rstrip("/\\"))[-1]
        return name, f"{STATE} calls it the best"
    return "", ""


def _last(inside: dict[str, Kind]) -> tuple[str, str]:
    steps = [name for name in inside if name != _MERGED]
    return (steps[-1], "it is the last one, and no final or best one is there") if steps else ("", "")
