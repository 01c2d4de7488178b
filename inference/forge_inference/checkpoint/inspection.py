"""A checkpoint judged as a whole: every problem, not the first alone."""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from forge_inference.checkpoint import base as base_room
from forge_inference.checkpoint import facts as facts_room
from forge_inference.checkpoint import layout, preflight
from forge_inference.checkpoint.base import Base
from forge_inference.checkpoint.errors import CheckpointError, Findings
from forge_inference.checkpoint.facts import Facts
from forge_inference.checkpoint.layout import Choice
from forge_inference.checkpoint.preflight import Adapter


@dataclass
class Inspection:
    """What was found; `adapter` unless something keeps it from being served."""

    checkpoint: Path
    findings: Findings = field(default_factory=Findings)
    choice: Choice | None = None
    facts: Facts = field(default_factory=Facts)
    adapter: Adapter | None = None

    @property
    def served(self) -> bool:
        return self.adapter is not None and not self.findings.problems

    def as_json(self) -> dict[str, Any]:
        choice, adapter, facts = self.choice, self.adapter, self.facts
        return {
            "served": self.served,
            "checkpoint": str(self.checkpoint),
            "kind": choice.kind if choice else None,
            "folder": choice.name if choice else None,
            "why": choice.why if choice else None,
            "alternatives": list(choice.alternatives) if choice else [],
            "digest": adapter.digest if adapter else None,
            "rank": adapter.rank if adapter else None,
            "alpha": adapter.alpha if adapter else None,
            "targetModules": list(adapter.target_modules) if adapter else [],
            "layers": len(adapter.modules) if adapter else None,
            "trainer": facts.trainer,
            "trainingStep": facts.step,
            "epoch": facts.epoch,
            "evaluationLoss": facts.evaluation_loss,
            "best": facts.best,
            "baseModel": facts.base_model,
            "trainedWith": facts.quantization,
            "trainedWithFrom": facts.quantization_from,
            "versions": dict(facts.versions),
            "problems": [{"reason": each.reason, "message": str(each)} for each in self.findings.problems],
            "notes": list(dict.fromkeys(self.findings.notes)),
        }


def inspect(folder: Path, base_folder: Path | None = None) -> Inspection:
    """Never raises for what is wrong with files."""
    found = Inspection(folder)
    try:
        found.choice = choice = layout.choose(folder, str(folder))
        found.facts = facts_room.read(choice, Findings())
        if choice.kind == "model":
            model = base_room.read(choice.folder, str(folder), base_room.CHECKPOINT)
            found.adapter = preflight.whole(choice, model, base_folder or choice.folder / "no-base-model")
            found.findings.notes += found.adapter.notes
            return found
        found.adapter = preflight.survey(choice, _base(base_folder, found.findings), found.findings)
    except CheckpointError as error:
        found.findings.problems.append(error)
    except PermissionError as error:
        found.findings.wrong("CheckpointNotFound", f"{error.filename} may not be read by user {os.getuid()}")
    return found


def _base(folder: Path | None, findings: Findings) -> Base | None:
    if folder is None:
        findings.note("not compared with a base model: name its folder with --base")
        return None
    try:
        return base_room.read(folder, str(folder))
    except CheckpointError as error:
        findings.problems.append(error)
        return None
