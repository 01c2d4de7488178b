"""What can be wrong with files, by the word that the pod's last words carry."""

from dataclasses import dataclass, field
from typing import Literal

Reason = Literal[
    "CheckpointNotFound",
    "CheckpointInvalid",
    "CheckpointIncomplete",
    "CheckpointUnsupported",
    "BaseModelNotFound",
    "BaseModelMismatch",
    "AdapterIneffective",
]


class CheckpointError(Exception):
    """The message names file and key, and what to do."""

    def __init__(self, reason: Reason, message: str) -> None:
        # Names from files may hold what hides or reorders the words around them.
        super().__init__("".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in message))
        self.reason = reason


@dataclass
class Findings:
    """All that was found: what keeps a checkpoint from being served, and what is worth knowing."""

    problems: list[CheckpointError] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def wrong(self, reason: Reason, message: str) -> None:
        self.problems.append(CheckpointError(reason, f"{message}."))

    def note(self, message: str) -> None:
        self.notes.append(f"{message}.")
