"""Whether a checkpoint is still what was read."""

from dataclasses import dataclass

from forge_inference.checkpoint import files, layout
from forge_inference.checkpoint.errors import CheckpointError
from forge_inference.checkpoint.files import Stamp
from forge_inference.checkpoint.layout import Choice


@dataclass(frozen=True)
class Watched:
    """The files that were read, and the folder of the run that was chosen."""

    choice: Choice
    files: tuple[Stamp, ...]

    def changed(self) -> bool:
        """Whether a server that starts now would load something else from the same place."""
        if files.changed(self.files):
            return True
        try:
            return layout.choose(self.choice.root, "").folder != self.choice.folder
        except (CheckpointError, OSError):
            return True
