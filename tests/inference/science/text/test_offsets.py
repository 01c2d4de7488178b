"""A place counted in code points or in UTF-16 units is the same place."""

from hypothesis import given, settings
from hypothesis import strategies as st

from forge_inference.science.text.document import Span
from forge_inference.science.text.offsets import Offsets

ASTRAL = st.text(alphabet=st.sampled_from("aβ𝛼🧬\U0010ffff é\u0301"), max_size=40)


def in_utf16(text: str, start: int, end: int) -> str:
    """What a JavaScript client cuts out."""
    return text.encode("utf-16-le", "surrogatepass")[2 * start : 2 * end].decode("utf-16-le", "surrogatepass")


@settings(deadline=None)  # a busy machine is no fault
@given(ASTRAL, st.data())
def test_both_units_cut_out_the_same_characters(text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text)))
    span = Span(start, data.draw(st.integers(start, len(text))))
    assert in_utf16(text, *Offsets(text, "utf16").of(span)) == span.of(text)
    assert Offsets(text, "codepoint").of(span) == span


def test_a_letter_beyond_the_first_plane_counts_twice() -> None:
    assert Offsets("𝛼-catenin", "utf16").of(Span(0, 2)) == Span(0, 3)
