"""What can be wrong with files, by the word that the pod's last words carry."""

from typing import Literal

Reason = Literal[
    "CheckpointNotFound",
    "CheckpointInvalid",
    "CheckpointIncomplete",
    "BaseModelNotFound",
    "BaseModelMismatch",
    "AdapterIneffective",
]


class CheckpointError(Exception):
    """The message names file and key, and what to do."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(message)
        self.reason = reason
