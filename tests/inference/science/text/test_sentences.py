"""Sentences of papers end where their authors ended them."""

import itertools
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forge_inference.science.text.sentences import sentences


def split(text: str) -> list[str]:
    return [span.of(text) for span in sentences(text)]


@pytest.mark.parametrize(
    "expected",
    [
        ["E. coli K-12 grew.", "mRNA rose (Fig. 2a; cf. Table S1).", "eIF4E did not.", "5′-UTRs of refs. 12-14 did."],
        ["We followed Smith et al. (2019) and Lee et al. [12].", "C. elegans was kept at 20 °C."],
        ["This was shown by Lee et al.", "We repeated it."],
        ["Vitamin C was given to group A.", "Patients of group B had hepatitis B.", "Nobody died."],
        ["Cells were lysed.12,13", "The pellet was kept.[4]", "It was washed. [5]", "Then it was dried.⁶"],
        ["Mice got 5 mg/kg i.p. daily until 5 p.m.", "The rest got saline (P. falciparum; n = 3. mean)."],
        ["“Is it real?”", "We asked.", "(It is known.", "It is old.)", "Then p < 0.05 vs. controls."],
        ["Streptomyces sp. grew.", "So did another strain sp.", "The third did not."],
        ["Data were from Roche Inc. in Basel.", "12 mice died.", "α-Synuclein, i.e. SNCA, aggregated."],
        ["The answer was no.", "No. 5 was lost."],
    ],
)
def test_a_paragraph_is_split_as_its_authors_meant(expected: list[str]) -> None:
    assert split(" ".join(expected)) == expected


def test_headings_titles_and_items_are_sentences_of_their_own() -> None:
    text = "A title\nWe show what is shown here at some length.\n\n2.1 Mice\nThey were\nold.\n- one\n- two"
    assert split(text) == [
        "A title", "We show what is shown here at some length.", "2.1 Mice", "They were\nold.", "- one", "- two",
    ]  # fmt: skip


@settings(deadline=None)  # a busy machine is no fault
@given(st.text(alphabet=st.sampled_from(list("aA1. ?!)(\n“”[]⁵é𝛼")), max_size=80))
def test_every_character_but_space_is_in_one_sentence(text: str) -> None:
    spans = sentences(text)
    assert all(one.end <= other.start for one, other in itertools.pairwise(spans))
    assert "".join("".join(span.of(text).split()) for span in spans) == "".join(text.split())


@pytest.mark.parametrize(
    "part",
    [
        "The cell of E. coli (Fig. 2) died. ",
        "(",
        ".",
        ". ",
        "A. ",
        "fig. A",
        "a",
        "[1",
        "(a)",
        ".[1 1 1",
        "\n- a",
        "2. A\n",
    ],
)
def test_the_time_grows_with_the_text_and_no_faster(part: str) -> None:
    start = time.process_time()
    sentences((part * 100_000)[:100_000])
    assert time.process_time() - start < 3
