"""What is read, and what is written of it; each character with the part of the paper that it was made of."""

import re
from array import array
from dataclasses import dataclass, field
from itertools import repeat

from forge_inference.science.text.traced import Traced

_BRACE = re.compile(r"\\verb\*?(?P<mark>[^\sA-Za-z*])[^\n]{0,1000}?(?P=mark)|\\.|%[^\n]*+|[{}]", re.DOTALL)


@dataclass(frozen=True, slots=True)
class View:
    """A piece of the paper, or of what a macro stands for, up to `end`.

    `flat`: its lines are one, as of a heading. `within`: a cell's own lines, whose ends divide no table.
    """

    text: str
    starts: "array[int]"
    ends: "array[int]"
    braces: dict[int, int]  # where each one that opens is closed
    end: int
    flat: bool = False
    within: bool = False
    depth: int = 0

    @staticmethod
    def of(traced: Traced, depth: int = 0, *, flat: bool = False, within: bool = False) -> "View":
        text = traced.text
        return View(text, traced.starts, traced.ends, _braces(text), len(text), flat, within, depth)


def _braces(text: str) -> dict[int, int]:
    pairs, opened = dict[int, int](), list[int]()
    for found in _BRACE.finditer(text):
        if found[0] == "{":
            opened.append(found.start())
        elif found[0] == "}" and opened:
            pairs[opened.pop()] = found.start()
    return pairs


@dataclass(slots=True)
class Written:
    """Text that grows."""

    _pieces: list[str] = field(default_factory=list)
    _starts: "array[int]" = field(default_factory=lambda: array("I"))
    _ends: "array[int]" = field(default_factory=lambda: array("I"))

    def add(self, said: str, starts: "array[int]", ends: "array[int]") -> None:
        """Character by character."""
        self._pieces.append(said)
        self._starts += starts
        self._ends += ends

    def make(self, said: str, start: int, end: int) -> None:
        """All of it was made of this part of the paper."""
        self._pieces.append(said)
        self._starts.extend(repeat(start, len(said)))
        self._ends.extend(repeat(end, len(said)))

    @property
    def ends_line(self) -> bool:
        return not self._pieces or self._pieces[-1].endswith("\n")

    @property
    def last(self) -> str:
        """The last characters, a few."""
        return "".join(self._pieces[-3:])[-4:]

    def traced(self, first: str) -> Traced:
        return Traced(first, "".join(self._pieces), self._starts, self._ends)


@dataclass(slots=True)
class Table:
    """Rows as lines: | a | b |. A row begins with the first thing that it says."""

    is_open: bool = False
    depth: int = 0  # of tables within its cells

    def open(self) -> str:
        opening, self.is_open = "" if self.is_open else "| ", True
        return opening

    def cell(self) -> str:
        return " " if self.depth else f"{self.open()} | "

    def row(self) -> str:
        """The end of one."""
        if self.depth:
            return " "
        closing, self.is_open = " |\n" if self.is_open else "", False
        return closing
