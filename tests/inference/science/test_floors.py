"""How good the rules must stay on the corpus; docs/benchmarks.md has the figures."""

from forge_inference.science.text.cleaning import clean
from tests.bench_science.scores import concepts, ours, splitting
from tests.bench_science.truth import abstracts

SCORES, GROUNDING, SAID = concepts(abstracts())


def test_the_corpus_is_as_large_and_as_strange_as_promised() -> None:
    text = "".join(abstract.text for abstract in abstracts())
    assert len(abstracts()) >= 40
    assert all(mark in text for mark in ("\u00ad", "\u200b", "ﬁ", "𝛽", "🧬", "“", "μ", "⁻⁸", "²", "Ｄ", "\u2009"))


def test_every_quotation_of_the_corpus_is_exact() -> None:
    for abstract in abstracts():
        document = clean(abstract.text)
        for span in ours(abstract.text):
            assert abstract.text[span.start : span.end] == document.quote(span)


def test_variants_and_identifiers_are_found() -> None:
    assert {kind: SCORES[kind].f1 for kind in ("variant", "rsID", "accession") if SCORES[kind].f1 < 0.97} == {}, SAID


def test_a_gene_that_is_given_an_identifier_is_given_its_own() -> None:
    assert GROUNDING.precision >= 0.95, SAID


def test_what_is_ambiguous_stays_so() -> None:
    assert (GROUNDING.left_open, GROUNDING.ambiguous > 0) == (GROUNDING.ambiguous, True)


def test_what_is_said_to_be_there_is_there() -> None:
    assert {kind: score.precision for kind, score in SCORES.items() if score.precision < 0.95} == {}, SAID


def test_sentences_end_where_their_authors_ended_them() -> None:
    assert splitting(abstracts(), ours).f1 >= 0.99
