"""From what a model wrote to statements that can be checked."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forge_inference.science.papers.answers import Rejected, Statement, statements, summary
from forge_inference.science.papers.paper import Paper

PAPER = Paper("Results\n\nUptake fell by 58% (p = .002). The cells died. KRAS was needed.")


def _read(answer: str, *, cut_off: bool = False) -> list[Statement | Rejected]:
    return list(statements(PAPER, answer, {0, 1, 2}, cut_off=cut_off))


@pytest.mark.parametrize(
    "line",
    [
        "FINDING: Uptake fell [S0]",
        "Finding: Uptake fell [S0].",
        "- FINDING: Uptake fell (S0)",
        "**FINDING**: Uptake fell [S0]",
        "1. FINDING | Uptake fell | S0",
        "FINDINGS: Uptake fell [S0, S1]",
        "FINDING: Uptake fell [S0][S1]",
    ],
)
def test_a_line_is_read_however_a_model_writes_it(line: str) -> None:
    [found] = _read(line)
    assert isinstance(found, Statement)
    assert (found.kind, found.text.rstrip(".")) == ("finding", "Uptake fell")
    assert PAPER.quoted(found.evidence[0]).quote == "Uptake fell by 58% (p = .002)."


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("FINDING: Uptake fell", "no_evidence"),
        ("FINDING: Uptake fell by 85% [S0]", "unsupported_numbers"),
        ("FINDING: Uptake fell by 58% [S1]", "unsupported_numbers"),
        ('FINDING: "Uptake rose in all cells" [S0]', "unfound_quotation"),
        ("FINDING: [S0]", "no_evidence"),
        ("Uptake fell [S0]", "unreadable"),
    ],
)
def test_what_cannot_be_checked_is_rejected_with_the_reason(line: str, reason: str) -> None:
    [found] = _read(line)
    assert isinstance(found, Rejected)
    assert (found.reason, bool(found.raw)) == (reason, True)


def test_a_sentence_that_was_not_shown_is_no_evidence_beside_one_that_was() -> None:
    unknown, kept = _read("FINDING: The cells died [S7, S1]")
    assert isinstance(unknown, Rejected)
    assert (unknown.raw, unknown.reason) == ("S7", "unknown_sentence")
    assert isinstance(kept, Statement)
    assert len(kept.evidence) == 1


def test_nothing_is_nothing_and_not_a_failure() -> None:
    assert _read("NONE\n\n - \n") == []


def test_only_the_end_of_an_answer_that_was_cut_off_is_in_doubt() -> None:
    kept, lost = _read("FINDING: The cells died [S1]\nFINDING: KRAS was [S2]", cut_off=True)
    assert isinstance(kept, Statement)
    assert isinstance(lost, Rejected)
    assert lost.reason == "cut_off"


def test_a_summary_is_checked_sentence_by_sentence() -> None:
    said = "Uptake fell by 58% [S0]. The cells died. [S1] It was all in vain."
    first, second, third = summary(PAPER, said, {0, 1, 2}, cut_off=False)
    assert isinstance(first, Statement)
    assert first.text == "Uptake fell by 58%."
    assert isinstance(second, Statement)
    assert second.text == "The cells died."
    assert isinstance(third, Rejected)
    assert third.reason == "no_evidence"


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet='FINDG: [S0123],.|"xé\n-', max_size=200), st.booleans())
def test_whatever_a_model_writes_no_line_is_lost(answer: str, cut_off: bool) -> None:
    found = _read(answer, cut_off=cut_off)
    lines = [line for line in answer.splitlines() if line.strip(' :[],.|"-')]
    assert len([each for each in found if not isinstance(each, Rejected) or each.reason != "unknown_sentence"]) == len(
        lines
    )
    for each in found:
        if isinstance(each, Statement):
            assert each.evidence
            assert all(PAPER.quoted(span).quote for span in each.evidence)
