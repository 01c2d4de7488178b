"""Likelihoods as parts of a whole, and samples that say the same."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from forge_inference.science.genomics.confidence import agreement, normalised, softmax


@given(st.lists(st.floats(-700, 0), min_size=1, max_size=26), st.floats(0.05, 100))
def test_parts_make_a_whole_and_keep_their_order(logprobs: list[float], temperature: float) -> None:
    parts = softmax(logprobs, temperature)
    assert math.fsum(parts) == pytest.approx(1)
    assert (
        parts.index(max(parts)) == logprobs.index(max(logprobs)) or max(parts) == parts[logprobs.index(max(logprobs))]
    )


@pytest.mark.parametrize(
    ("one", "other", "form"),
    [
        ("CFTR is a channel [S1].", "cftr is a  channel", "text"),
        ("**CFTR**, a channel", "CFTR a channel.", "text"),
        ("TNF‑α", "TNF-α", "text"),
        ("INSUFFICIENT EVIDENCE", "Insufficient evidence: the context is short.", "text"),
        ("- TP53 [S1]\n- BRCA1", "1. BRCA1\n2. TP53\n", "list"),
        ("* TP53\n* TP53", "- tp53", "list"),
    ],
)
def test_the_same_said_in_another_way_is_the_same(one: str, other: str, form: str) -> None:
    assert normalised(one, form) == normalised(other, form)


@pytest.mark.parametrize(
    ("one", "other", "form"),
    [
        ("CFTR", "CFTR1", "text"),
        ("it binds", "it does not bind", "text"),
        ("a change of -1", "a change of +1", "text"),
        ("p = .05", "p = 05", "text"),
        ("TP53 BRCA1", "BRCA1 TP53", "text"),
        ("- TP53\n- BRCA1", "- TP53", "list"),
        ("", "INSUFFICIENT EVIDENCE", "text"),
    ],
)
def test_what_is_not_the_same_is_told_apart(one: str, other: str, form: str) -> None:
    assert normalised(one, form) != normalised(other, form)


def test_the_largest_group_is_chosen_and_of_equal_ones_the_first() -> None:
    found = agreement(["a gene", "a channel", "A gene.", "a channel!", "no"], "text")
    assert (found.samples, found.agreeing, found.chosen, found.share) == (5, 2, 0, 0.4)
    found = agreement(["no", "a channel", "A channel."], "text")
    assert (found.agreeing, found.chosen) == (2, 1)
