"""From which folders a checkpoint may be loaded while the server runs."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from forge_inference.engine.errors import CheckpointNotFound, Forbidden, InvalidRequest


@dataclass(frozen=True)
class Roots:
    """Without a folder, none may be loaded. `of_a_resource`: the server was started for a ScientificModel."""

    folders: Sequence[Path] = ()
    of_a_resource: bool = False

    def checkpoint(self, path: str) -> Path:
        """The folder that is meant, without links. A relative path is one inside of a root.

        Raises Forbidden, CheckpointNotFound, InvalidRequest.
        """
        if self.of_a_resource:  # whatever the roots are: its status would tell of another model than is served
            raise Forbidden(
                "This server serves what a ScientificModel says: change spec.checkpoint.uri of that resource."
            )
        if not self.folders:
            raise Forbidden(
                "This server loads no other checkpoints; start it with --model-roots (FORGE_MODEL_ROOTS), the folders "
                "that they may come from."
            )
        try:
            return self._inside(path)
        except (OSError, ValueError, RuntimeError) as error:  # too long, a NUL byte, links in a circle
            raise InvalidRequest(f"model_path: {error}") from error

    def _inside(self, path: str) -> Path:
        roots = [root.resolve() for root in self.folders]
        found = [place for root in roots if _is_in(place := (root / path).resolve(), roots)]
        if not found:
            allowed = ", ".join(map(str, roots))
            raise Forbidden(f"model_path: {path} is not inside of --model-roots, which are {allowed}.")
        folder = next((place for place in found if place.is_dir()), None)
        if folder is None:
            raise CheckpointNotFound(f"model_path: there is no folder {found[0]}.")
        return folder


def _is_in(place: Path, roots: Sequence[Path]) -> bool:
    return any(place.is_relative_to(root) for root in roots)
