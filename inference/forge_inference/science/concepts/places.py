"""Places in a text that are asked for by their neighbourhood; a text may have a hundred thousand."""

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator

from forge_inference.science.text.document import Span

_NEXT = 2  # on either side: one may lie within another, as BRCA1 in BRCA1/2


class Places:
    """Spans with a word each, in their order."""

    def __init__(self, placed: Iterable[tuple[Span, str]] = ()) -> None:
        self._placed = sorted(placed)

    def add(self, span: Span, word: str = "") -> None:
        insort(self._placed, (span, word))

    def around(self, span: Span) -> Iterator[tuple[Span, str]]:
        """The nearest ones, those that begin before the span first."""
        here = bisect_left(self._placed, (span, ""))
        yield from self._placed[max(0, here - _NEXT) : here + _NEXT]

    def meet(self, span: Span) -> bool:
        """Whether one of them shares a character with the span."""
        return any(span.meets(other) for other, _ in self.around(span))
