"""The text of pages: what is raised stays raised, and what stands on every page is taken out and told."""

import math
import re
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from forge_inference.science.papers.source import LeftOut
from forge_inference.science.text.scripts import small

_SMALLER = 0.87  # of the line's size; what is larger is no index
_RAISED, _LOWERED = (0.1, 0.8), (-0.55, -0.04)  # of the line's size, above its baseline
_LONGEST_INDEX = 12  # characters
_EDGE = 3  # lines at the top and at the bottom of a page that may be no text of the paper
_REPEATED = 0.4  # of the pages; left and right pages often have lines of their own
_DIGITS = re.compile(r"\d+")


class PageText:
    """Takes a page's pieces, as pypdf's `visitor_text` tells them."""

    def __init__(self) -> None:
        self._said: list[str] = []
        self._line: tuple[float, float] | None = None  # its baseline and its size, once it has begun

    def visit(self, text: str, cm: Sequence[float], tm: Sequence[float], font: Any, size: float) -> None:
        """One piece: it ends where font, size or line change."""
        said = text.strip()
        if said:
            base = tm[4] * cm[1] + tm[5] * cm[3] + cm[5]
            height = abs(size) * math.hypot(tm[2], tm[3]) * math.hypot(cm[2], cm[3])
            text = text.replace(said, self._index(said, base, height))
        self._said.append(text)
        if "\n" in text:
            self._line = None

    def _index(self, said: str, base: float, height: float) -> str:
        if self._line is None or height > _SMALLER * self._line[1]:
            self._line = base, height
            return said
        above = (base - self._line[0]) / self._line[1]
        if len(said) > _LONGEST_INDEX or "\n" in said:
            return said
        if _RAISED[0] <= above <= _RAISED[1]:
            return small(said, "raised")
        return small(said, "lowered") if _LOWERED[0] <= above <= _LOWERED[1] else said

    @property
    def lines(self) -> list[str]:
        """Those that say something, without the space around them."""
        return [line for each in "".join(self._said).split("\n") if (line := " ".join(each.split()))]


def without_repeated(pages: Sequence[Sequence[str]]) -> tuple[list[list[str]], list[LeftOut]]:
    """Lines of each page without running heads and numbers of pages, and what these were."""
    standing = defaultdict[str, set[int]](set)
    for number, lines in enumerate(pages):
        for line in (*lines[:_EDGE], *lines[-_EDGE:]):
            standing[_pattern(line)].add(number)
    least = max(3, math.ceil(_REPEATED * len(pages)))
    repeated = {pattern for pattern, where in standing.items() if len(where) >= least}
    kept, gone, on = list[list[str]](), dict[str, str](), defaultdict[str, set[int]](set)
    for number, lines in enumerate(pages):
        first, last = 0, len(lines)
        while first < min(_EDGE, last) and _pattern(lines[first]) in repeated:
            first += 1
        while last > max(first, len(lines) - _EDGE) and _pattern(lines[last - 1]) in repeated:
            last -= 1
        kept.append(list(lines[first:last]))
        for line in (*lines[:first], *lines[last:]):
            gone.setdefault(_pattern(line), line)
            on[_pattern(line)].add(number + 1)
    return kept, [LeftOut("repeated_line", said, tuple(sorted(on[pattern]))) for pattern, said in gone.items()]


def _pattern(line: str) -> str:
    """Numbers of pages differ, and lines are the same."""
    return _DIGITS.sub("#", line).casefold()
