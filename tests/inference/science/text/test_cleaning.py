"""Cleaning repairs what files broke, keeps what scientists mean, and never loses the way back."""

import itertools
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forge_inference.science.text.cleaning import clean
from forge_inference.science.text.document import Document, Span

# Letters of every plane, and what papers break on: marks, ligatures, entities, mojibake, what is invisible, line ends.
_TROUBLE = [
    "\u00ad",
    "\u200b",
    "\ufeff",
    "ﬁ",
    "ﬃ",
    "Ã©",
    "âˆ’",
    "e\u0301",
    "\r\n",
    "&lt;",
    "&amp;",
    "𝛼",
    "🧬",
    "\u202e",
    "⁻³",
]
TEXTS = st.lists(st.one_of(st.text(max_size=8), st.sampled_from(_TROUBLE)), max_size=20).map("".join)


@settings(deadline=None)  # a busy machine is no fault
@given(TEXTS, st.data())
def test_every_quotation_is_a_span_of_the_text_as_it_was_sent(sent: str, data: st.DataObject) -> None:
    document = clean(sent)
    start = data.draw(st.integers(0, len(document.clean)))
    end = data.draw(st.integers(start, len(document.clean)))
    located = document.located(Span(start, end))
    assert 0 <= located.start <= located.end <= len(sent)
    assert document.quote(located) == sent[located.start : located.end]
    assert (located.start < located.end) == (start < end)


@settings(deadline=None)  # a busy machine is no fault
@given(TEXTS)
def test_spans_in_their_order_lie_in_their_order_in_what_was_sent(sent: str) -> None:
    document = clean(sent)
    places = [document.located(Span(at, at + 1)) for at in range(len(document.clean))]
    assert all(one.start <= other.start and one.end <= other.end for one, other in itertools.pairwise(places))


@settings(deadline=None)  # a busy machine is no fault
@given(TEXTS)
def test_cleaning_what_is_clean_changes_nothing(sent: str) -> None:
    once = clean(sent).clean
    again = clean(once)
    assert again.clean == once
    assert not again.edits


@settings(deadline=None)  # a busy machine is no fault
@given(st.text(alphabet=st.characters(codec="ascii", exclude_categories=["Cc"]), max_size=60))
def test_plain_text_is_left_alone(sent: str) -> None:
    document = clean(sent.replace("&", "and"))
    assert document.clean == document.sent


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        ("eﬃciently deﬁned", "efficiently defined"),
        ("CafÃ© âˆ’5 Î²-actin", "Café −5 β-actin"),
        ("p &lt; 0.05 &amp; more", "p < 0.05 & more"),
        ("ＴＰ５３", "TP53"),
        ("e\u0301tude", "étude"),
        ("hae\u00admo\u200bglobin\ufeff", "haemoglobin"),
        ("a\u00a0b\u2009c\r\nd", "a b c\nd"),
        ("\ud835\udefc", "𝛼"),
        ("half \ud835", "half \ufffd"),
        ("admin\u202eistered", "administered"),
    ],
)
def test_what_files_broke_is_repaired(sent: str, read: str) -> None:
    assert clean(sent).clean == read


@pytest.mark.parametrize(
    "sent",
    [
        "10⁻³ mol/m²",
        "5×10⁶ cells",
        "½ of Ca²⁺",
        "¹⁴C and CO₂",
        "5′-UTR, “quoted” and patient’s",
        "12 Å ± 3 µm",
        "می‌خواهم",
        "A<sub>260</sub> &lt;",
    ],
)
def test_what_scientists_mean_is_kept(sent: str) -> None:
    assert clean(sent).clean == sent


def test_a_repaired_word_is_quoted_with_what_it_was_made_of() -> None:
    document = clean("We saw hae\u00admo\u200bglobin in ﬁsh.")
    start = document.clean.index("haemoglobin")
    assert document.said(Span(start, start + len("haemoglobin"))) == "hae\u00admo\u200bglobin"
    assert document.said(Span(start + 15, start + 17)) == "ﬁ"  # the ligature was one character, and is quoted whole
    assert document.edits == {"letters": 1, "invisible": 2}


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        ("The pro-\ntein was a protein.", "The protein was a protein."),
        ("IL-\n6 and IL6", "IL-\n6 and IL6"),
        ("a well-\nknown and well-known and wellknown", "a well-\nknown and well-known and wellknown"),
        ("never joined be-\nfore", "never joined be-\nfore"),
    ],
)
def test_words_are_joined_over_line_ends_only_where_the_text_says_how(sent: str, read: str) -> None:
    assert clean(sent).clean == read


def test_a_span_outside_of_the_text_is_an_error() -> None:
    with pytest.raises(ValueError, match="not within"):
        Document("", "").located(Span(0, 1))


@pytest.mark.parametrize(
    "sent", ["A" * 200_000, "é" * 200_000, "Ã©" * 50_000, "a-\n" * 50_000, "&" * 200_000, "e\u0301" * 50_000]
)
def test_a_hostile_text_is_cleaned_in_seconds(sent: str) -> None:
    start = time.process_time()
    clean(sent)
    assert time.process_time() - start < 3
