"""Lists as models write them, and what is no list."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forge_inference.science.genomics.lists import Form, items


@pytest.mark.parametrize(
    ("answer", "form", "said"),
    [
        ("- TP53 [S1]\n- BRCA1 [S2, S3]", "marked", ["TP53 [S1]", "BRCA1 [S2, S3]"]),
        ("Here are they:\n\n1. TP53\n2) BRCA1", "marked", ["TP53", "BRCA1"]),
        ("* **TP53**: a suppressor\n• NF-κB", "marked", ["**TP53**: a suppressor", "NF-κB"]),
        ("TP53\nBRCA1\n", "lines", ["TP53", "BRCA1"]),
        ("TP53, BRCA1 and more; EGFR.", "inline", ["TP53", "BRCA1 and more", "EGFR"]),
        ("The genes: TP53 [S1, S2], and BRCA1 [S3]", "inline", ["TP53 [S1, S2]", "BRCA1 [S3]"]),
        ("TP53", "inline", ["TP53"]),
        ("NONE.", "lines", []),
    ],
)
def test_a_list_is_read_however_a_model_writes_it(answer: str, form: Form, said: list[str]) -> None:
    found = items(answer)
    assert (found.form, [span.of(answer) for span in found.spans]) == (form, said)


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ("The gene TP53 is a tumour suppressor, and BRCA1 repairs breaks.", "it wrote a sentence"),
        ("word " * 60 + "\n" + "word " * 60, "it wrote paragraphs"),
        ("", "it wrote nothing"),
    ],
)
def test_what_is_no_list_is_said_to_be_none(answer: str, why: str) -> None:
    found = items(answer)
    assert (found.form, found.spans, found.why) == (None, (), why)


def test_what_is_said_again_is_counted_and_told_once() -> None:
    found = items("Genes:\n- TP53 [S1]\n- tp53 [S2]\n- **TP53**\n- BRCA1")
    assert (len(found.spans), found.repeated, found.outside) == (2, 2, 1)


@settings(deadline=None)  # a busy machine is no fault
@given(st.text(alphabet="-*1.) ,;:\nabTP53[S]and ", max_size=80))
def test_items_are_pieces_of_the_answer_in_their_order(answer: str) -> None:
    found = items(answer)
    assert (found.form is None) == (found.why is not None)
    assert list(found.spans) == sorted(found.spans)
    assert all(0 <= span.start < span.end <= len(answer) and span.of(answer).strip() for span in found.spans)
