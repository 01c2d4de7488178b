"""What rules find in papers, one habit of papers at a time."""

import time
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forge_inference.science.papers.datasets import datasets
from forge_inference.science.papers.limitations import stated
from forge_inference.science.papers.methodology import methodology
from forge_inference.science.papers.paper import Paper
from forge_inference.science.papers.reporting import reported
from forge_inference.science.papers.results import results
from forge_inference.science.papers.statistics import recomputed
from forge_inference.science.papers.verified import found, unsupported
from tests.science.papers.corpus import papers

_FILLER = "The colon was fixed, embedded in paraffin, cut, stained and photographed as described before. " * 40


def _a_paper(methods: str, discussion: str = "We found what we found.") -> Paper:
    return Paper(f"A title\n\nAbstract\n\nMice.\n\nMethods\n\n{methods} {_FILLER}\n\nDiscussion\n\n{discussion}\n")


def _status(paper: Paper, criterion: str) -> str:
    return next(each.status for each in reported(paper).judged if each.criterion.id == criterion)


_MICE = "Male mice aged 8 weeks were used. All mice were housed in pairs."


@pytest.mark.parametrize(
    ("said", "criterion", "status"),
    [
        ("Animals were not randomised.", "randomisation", "addressed_negative"),
        ("Animals were randomly allocated to cages.", "randomisation", "addressed"),
        ("Cages were cleaned.", "randomisation", "not_found"),
        ("The investigators were not blinded.", "blinding", "addressed_negative"),
        ("No power analysis was done.", "sample_size_justification", "addressed_negative"),
        ("Informed consent was obtained.", "consent", "not_applicable"),
        ("Allocation was concealed.", "allocation_concealment", "not_applicable"),
    ],
)
def test_what_was_not_done_and_said_is_told_from_what_was_not_said(said: str, criterion: str, status: str) -> None:
    assert _status(_a_paper(f"{_MICE} {said}"), criterion) == status


def test_an_abstract_is_never_said_to_leave_things_out() -> None:
    abstract = (
        "Background: Mice matter. Methods: Mice were treated. Results: n = 12 mice; p = .03. Conclusions: They do."
    )
    report = reported(Paper(abstract))
    assert {each.status for each in report.judged} == {"not_assessable"}
    assert report.share is None
    assert report.not_assessable


def test_what_others_did_is_not_what_this_paper_did() -> None:
    text = f"Title\n\nIntroduction\n\nEarlier studies were randomised.\n\nMethods\n\n{_MICE} {_FILLER}"
    assert _status(Paper(text), "randomisation") == "not_found"


def test_every_criterion_that_is_addressed_has_its_sentence() -> None:
    for labelled in papers():
        for each in reported(labelled.paper).judged:
            assert each.status.startswith("addressed") == (each.span is not None), (labelled.name, each)
            if each.span is not None:
                quote = labelled.paper.quoted(each.span)
                assert labelled.sent[quote.start : quote.end] == quote.quote


def test_a_table_gives_a_row_for_each_value() -> None:
    table = "| Model | SQuAD F1 | SQuAD EM |\n|:--|--:|--:|\n| A | 80.1 | – |\n| B (ours) | **81.2** | 74.0 ± 0.3 |\n"
    rows, dropped = results(Paper(f"Results\n\n{table}\nAnd so on."))
    assert [(row.system, row.metric, row.value, row.ours) for row in rows] == [
        ("A", "f1", Decimal("80.1"), False),
        ("B", "f1", Decimal("81.2"), True),
        ("B", "exact_match", Decimal("74.0"), True),
    ]
    assert dropped == []


def test_what_a_metric_cannot_be_is_dropped_and_said() -> None:
    rows, [dropped] = results(Paper("Results\n\nOur model reaches an accuracy of 784 on PubMedQA."))
    assert rows == []
    assert dropped.reason == "accuracy cannot be 784"


def test_differences_are_no_results() -> None:
    rows, _ = results(Paper("Results\n\nOn PubMedQA the accuracy was 2.1 points above that of BERT."))
    assert rows == []


@pytest.mark.parametrize(
    ("text", "name", "role"),
    [
        ("Data are deposited in GEO under GSE123456.", "GSE123456", "released"),
        ("Reads (PRJNA123456) were downloaded and we used them.", "PRJNA123456", "used"),
        ("We evaluate on PubMedQA.", "PubMedQA", "used"),
        ("We do not use MedMCQA.", "MedMCQA", "mentioned"),
        ("Code: https://github.com/lab/tool.", "https://github.com/lab/tool", "mentioned"),
    ],
)
def test_a_data_set_has_a_role(text: str, name: str, role: str) -> None:
    [dataset] = datasets(Paper(f"Methods\n\n{text}"))
    assert (dataset.name, dataset.role) == (name, role)


def test_words_are_no_benchmarks() -> None:
    assert datasets(Paper("Methods\n\nGLUE and TAPE hold the FLIP chart; whatever may DRIVE it.")) == []


def test_limitations_are_those_behind_the_announcement() -> None:
    paper = _a_paper(
        _MICE, "It worked. This study has limitations. There were few mice. All were male.\n\nMice are small."
    )
    assert [sentence.text for sentence in stated(paper)] == ["There were few mice.", "All were male."]


def test_software_is_told_with_its_version() -> None:
    said = methodology(_a_paper("We used R version 4.2.1 and GraphPad Prism 9.")).software
    assert [(each.name, each.value) for each in said] == [("R", "4.2.1"), ("Prism", "9")]


@pytest.mark.parametrize(
    ("statement", "evidence", "lacking"),
    [
        ("It fell by 58%.", "Uptake fell by 58% (p = .002).", []),
        ("It fell by 85%.", "Uptake fell by 58% (p = .002).", ["85%"]),
        ("12,000 cells died", "1.2 × 10⁴ cells died", []),
        ("It rose to −0.5", "It rose to 0.5", ["−0.5"]),
        ("IL-6 rose", "IL-6 rose", []),
        ("KRAS was lost in PaCa‑2 cells", "it was lost", []),
    ],
)
def test_each_number_of_a_statement_must_stand_in_its_quotation(
    statement: str, evidence: str, lacking: list[str]
) -> None:
    assert unsupported(statement, [evidence]) == lacking


def test_a_quotation_is_found_over_line_ends_and_other_dashes() -> None:
    paper = Paper("We saw that IL‑6 rose\nafter the “first” dose.")
    span = found(paper, 'IL-6 rose after the "first" dose')
    assert span is not None
    assert paper.quoted(span).quote == "IL‑6 rose\nafter the “first” dose"
    assert found(paper, "IL-6 fell after the dose") is None
    assert found(paper, "We saw") is None, "so little stands anywhere"


@settings(max_examples=60, deadline=None)
@given(st.text(alphabet=st.sampled_from("aA1 .,|\t\n=p<−–²ﬁ\u00ad\u200b👩βé(n)%"), max_size=300))
def test_whatever_is_told_of_a_text_lies_in_the_text(sent: str) -> None:
    paper = Paper(
        f"Methods\n\n{sent} data deposited, n = 3 mice; t(28) = 2.20, p = .036.\n\nDiscussion\n\nlimitations: {sent}"
    )
    spans = [each.span for each in reported(paper).judged if each.span]
    spans += [each.span for each in recomputed(paper.folded)] + [each.span for each in stated(paper)]
    spans += [span for each in datasets(paper) for span in each.spans]
    for span in spans:
        quote = paper.quoted(span)
        assert paper.document.sent[quote.start : quote.end] == quote.quote != ""


_PIECES = [
    "ACGT",
    " ",
    "\n",
    "(",
    ".",
    "1,",
    "|",
    "| 1 ",
    "a|b|c\n",
    "<p>&amp;",
    "no ",
    "not randomised ",
    "male ",
    "F1 of SQuAD ",
]
_PIECES += [
    "data ",
    "Aa. ",
    "A ",
    "https://github.com/",
    "−",
    "METHODS\n",
    "Ã©",
    "n = 1 ",
    "limitations ",
    "​",
    "R 1",
    "2, 3 excluded ",
]


@pytest.mark.parametrize("piece", _PIECES)
def test_no_text_makes_the_rules_slow(piece: str) -> None:
    sent = "Methods\n\n" + piece * (100_000 // len(piece))
    before = time.process_time()
    paper = Paper(sent)
    reported(paper), datasets(paper), results(paper), stated(paper), methodology(paper)
    assert time.process_time() - before < 3
