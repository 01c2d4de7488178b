"""The papers of tests/science/corpus/papers, and what a person says of each."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from forge_inference.science.papers.paper import Paper

FOLDER = Path(__file__).parent.parent / "corpus" / "papers"


@dataclass(frozen=True)
class Labelled:
    """A paper with its truth, which was written before any rule saw the text."""

    name: str
    sent: str
    truth: dict[str, Any]

    @cached_property
    def paper(self) -> Paper:
        return Paper(self.sent)

    @property
    def held_out(self) -> bool:
        """Whether no rule was tuned on it."""
        return bool(self.truth["held_out"])


def papers() -> list[Labelled]:
    return [
        Labelled(path.stem, path.with_suffix(".txt").read_text(), yaml.safe_load(path.read_text()))
        for path in sorted(FOLDER.glob("*.yaml"))
    ]
