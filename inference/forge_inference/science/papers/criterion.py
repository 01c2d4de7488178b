"""What a reporting criterion is, and the kinds of study that criteria are expected of."""

import re
from dataclasses import dataclass
from typing import Literal

from forge_inference.science.text.headings import Kind

Trait = Literal["human", "trial", "cohort", "animal", "cells", "review", "computational", "omics", "many_tests"]


@dataclass(frozen=True, slots=True)
class Criterion:
    """`expected` for papers with any of these traits; with `if_found`, for any other that has a cue too."""

    id: str
    label: str
    guidelines: tuple[str, ...]
    expected: frozenset[Trait]
    cue: re.Pattern[str]
    also: re.Pattern[str] | None = None  # must stand in the same sentence
    denied: re.Pattern[str] | None = None
    not_for: frozenset[Trait] = frozenset()
    if_found: bool = False
    headed: Kind | None = None  # whatever stands under such a heading addresses it
    only_in: tuple[Kind, ...] = ()
    preferred: tuple[Kind, ...] = ("methods", "results")

    def found_in(self, sentence: str) -> bool:
        """Whether a folded sentence has what it takes."""
        return bool(self.cue.search(sentence) and (self.also is None or self.also.search(sentence)))
