"""Marks of the literature go, numbers of the science stay."""

import pytest

from forge_inference.science.text.cleaning import clean
from forge_inference.science.text.document import Span


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        ("It fell [1]. It rose [2,3–5].", "It fell. It rose."),
        ("It fell.[12] Then", "It fell. Then"),
        ("IL-11 is secreted.²,³ It harms.", "IL-11 is secreted. It harms."),
        ("as reported⁴⁻⁶ before", "as reported before"),
        ("of the gut.1 Stromal cells", "of the gut. Stromal cells"),
        ("protective in rats,4 whereas", "protective in rats, whereas"),
        ("It is so (Smith et al., 2019; Lee and Wu, 2020a).", "It is so."),
        ("It is so (see Smith, 2019).", "It is so."),
    ],
)
def test_a_citation_is_not_read(sent: str, read: str) -> None:
    document = clean(sent, strip_citations=True)
    assert document.clean == read
    assert document.edits["citations"] >= 1
    assert clean(sent).clean == sent, "unless that was asked for"
    assert document.quote(document.located(Span(0, len(read)))) == sent[: len(sent)]


@pytest.mark.parametrize(
    "sent",
    [
        "The mean was 5 (95% CI [2, 9]), the median 4 [1, 8].",
        "10⁵ cells in 2 m², 3 cm⁻¹ and 4 metre².",
        "as shown in [3] and by (Smith, 2019)",
        "[18F]FDG and [3H]thymidine; [Ca²⁺] rose.",
        "See Fig.2 Then p = .05",
        "version 4.2 Then",
        "a dose of 1,000 mg; 3,5 and so",
    ],
)
def test_what_is_none_stays(sent: str) -> None:
    assert clean(sent, strip_citations=True).clean == sent
