"""Sections are found by headings and labels, and together they are the text."""

from hypothesis import given, settings
from hypothesis import strategies as st

from forge_inference.science.text.sections import sections

PAPER = """A title of it
Background
X is old.

2. Materials and Methods
2.1 Participants
Mice were bought.

3 Our Own Approach
It is new.

RESULTS
A fell in 12 of
12 mice

## Data availability
GEO: GSE1.

References
1. Smith J. Nature 2019
2. Lee A. Cell 2020
"""


def test_a_paper_is_divided_at_its_headings() -> None:
    found = [(each.kind, each.heading and each.heading.of(PAPER)) for each in sections(PAPER)]
    assert found == [
        ("body", None),
        ("intro", "Background"),
        ("methods", "2. Materials and Methods"),
        ("unknown", "3 Our Own Approach"),
        ("results", "RESULTS"),
        ("data_availability", "## Data availability"),
        ("references", "References"),
    ]


def test_a_structured_abstract_is_divided_at_its_labels() -> None:
    for text in ("BACKGROUND: A. METHODS: We did. RESULTS: It rose. CONCLUSIONS: Good.",
                 "BACKGROUND A is B. METHODS We did. RESULTS It rose. CONCLUSIONS Good."):  # fmt: skip
        assert [each.kind for each in sections(text)] == ["intro", "methods", "results", "conclusions"]
        assert {each.detected_by for each in sections(text)} == {"label"}


def test_a_text_without_headings_is_one_body() -> None:
    assert [each.kind for each in sections("We saw the results. Methods differ.")] == ["body"]
    assert [each.kind for each in sections("")] == ["body"]


@settings(deadline=None)  # a busy machine is no fault
@given(
    st.lists(
        st.sampled_from(["Methods", "\n", " ", "RESULTS: ", "A b. ", "1. X y", "𝛼", "References"]), max_size=25
    ).map("".join)
)
def test_nothing_that_is_said_lies_outside_of_the_sections(text: str) -> None:
    parts = [span.of(text) for each in sections(text) for span in (each.heading, each.span) if span]
    assert "".join("".join(parts).split()) == "".join(text.split())
