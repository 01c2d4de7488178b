"""Places in a text, counted as whoever reads them counts: in code points, or in UTF-16 units as JavaScript does."""

import re
from bisect import bisect_left
from typing import Literal

from forge_inference.science.text.document import Span

OffsetUnit = Literal["codepoint", "utf16"]
_PAIRS = re.compile("[\U00010000-\U0010ffff]")  # what UTF-16 writes in two units


class Offsets:
    """Of one text, in one unit."""

    def __init__(self, text: str, unit: OffsetUnit) -> None:
        self._pairs = [found.start() for found in _PAIRS.finditer(text)] if unit == "utf16" else []

    def of(self, span: Span) -> Span:
        """A span in code points, in the unit."""
        return Span(*(place + bisect_left(self._pairs, place) for place in span))
