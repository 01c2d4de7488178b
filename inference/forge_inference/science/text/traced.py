"""A text that is edited while each character remembers where it came from."""

import re
from array import array
from collections.abc import Callable
from itertools import repeat

Edit = Callable[[re.Match[str]], str]


class Traced:
    """`text`, and for each of its characters the part of the `first` text that it was made of."""

    def __init__(
        self, first: str, text: str | None = None, starts: "array[int] | None" = None, ends: "array[int] | None" = None
    ) -> None:
        self.first = first
        self.text = first if text is None else text
        self.starts = array("I", range(len(first))) if starts is None else starts
        self.ends = array("I", range(1, len(first) + 1)) if ends is None else ends

    def sub(self, pattern: re.Pattern[str], edit: Edit) -> int:
        """As `re.sub`; tells how many matches changed.

        Equal characters at both ends of a match keep their places; what lies between was made of all in between.
        """
        pieces: list[str] = []
        starts, ends = array("I"), array("I")
        done = changes = 0
        for match in pattern.finditer(self.text):
            old, new = match[0], edit(match)
            if old == new:
                continue
            changes += 1
            head = _common(old, new)
            tail = _common(old[head:][::-1], new[head:][::-1])
            first, last = match.start() + head, match.end() - tail
            middle = new[head : len(new) - tail]
            pieces += self.text[done:first], middle
            starts += self.starts[done:first]
            ends += self.ends[done:first]
            if middle:  # an insertion, where nothing was, is made of the character before it
                origin = range(first, last) if first < last else range(max(0, first - 1), max(1, last))
                starts.extend(repeat(self.starts[origin[0]], len(middle)))
                ends.extend(repeat(self.ends[origin[-1]], len(middle)))
            done = last
        if changes:
            self.text = "".join((*pieces, self.text[done:]))
            self.starts, self.ends = starts + self.starts[done:], ends + self.ends[done:]
        return changes


def _common(one: str, other: str) -> int:
    """How many characters both begin with."""
    for place, (left, right) in enumerate(zip(one, other, strict=False)):
        if left != right:
            return place
    return min(len(one), len(other))
