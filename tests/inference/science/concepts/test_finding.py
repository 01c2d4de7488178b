"""What a text names is found where it stands, and no more is claimed of it than a table or a grammar can know."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forge_inference.science.concepts.finding import Finder
from forge_inference.science.concepts.grammar import Grammar, parsed
from forge_inference.science.concepts.kinds import Mention
from forge_inference.science.text.cleaning import clean

FINDER = Finder()


def found(text: str, *types: str) -> list[Mention]:
    return [each for each in FINDER.mentions(text) if not types or each.type in types]


def said(text: str, *types: str) -> dict[str, str]:
    """What is found, and the entry's name or else the status."""
    return {each.text: each.identifier.name if each.identifier else each.status for each in found(text, *types)}


def test_a_curators_list_of_genes_is_read_as_a_curator_would() -> None:
    text = "We checked SEPT9, MARCH1, PD-1, BRCA1/2 and NF-κB in allergic rhinitis (AR). AR was mild."
    assert said(text) == {
        "SEPT9": "SEPTIN9", "MARCH1": "MARCHF1", "PD-1": "ambiguous", "BRCA1": "BRCA1", "BRCA1/2": "BRCA2",
        "NF-κB": "NF-κB", "allergic rhinitis": "allergic rhinitis", "AR": "allergic rhinitis",
    }  # fmt: skip
    by_text = {each.text: each for each in found(text)}
    assert by_text["SEPT9"].notes == ("previous symbol of SEPTIN9",)
    assert {each.name for each in by_text["PD-1"].candidates} >= {"PDCD1", "SNCA"}
    assert by_text["NF-κB"].type == "complex"
    assert by_text["AR"].method == "abbreviation"


@pytest.mark.parametrize("written", ["TNF-α", "TNFα", "TNF-alpha", "TNF‑α", "TNF α"])
def test_greek_letters_and_dashes_are_written_in_many_ways(written: str) -> None:
    assert said(f"Serum {written} rose.") == {written: "TNF"}


@pytest.mark.parametrize(
    "text",
    ["The cat sat and had a REST by the CLOCK.", "DNA, RNA, PCR, USA and IC50 of HEK293 cells.", "He was MET at once.",
     "H2B, S6K, U2OS and A549 cells", "the impact of the set", "The maximum (MAX) was 3."],
)  # fmt: skip
def test_what_only_looks_like_a_gene_is_none(text: str) -> None:
    assert found(text) == []


@pytest.mark.parametrize(
    ("text", "symbol"),
    [("CAT expression rose.", "CAT"), ("Amplification of MET was found.", "MET"), ("KRAS, BRAF and KIT", "KIT")],
)
def test_a_word_nearby_or_a_list_tells_that_a_word_is_a_gene(text: str, symbol: str) -> None:
    assert said(text)[symbol] == symbol


def test_a_gene_of_a_mouse_is_not_called_the_human_one() -> None:
    [gene] = found("Brca1 is needed.")
    assert (gene.status, gene.identifier, gene.candidates[0].id) == ("ungrounded", None, "HGNC:1100")


def test_dates_among_genes_are_what_a_spreadsheet_left() -> None:
    [date] = [each for each in found("TP53, MYC, 1-Mar and GAPDH") if each.status == "ungrounded"]
    assert date.text == "1-Mar"
    assert "excel_date_artifact" in date.notes[0]
    assert not [each for each in found("On 1-Mar we met.") if each.type == "gene"]


@pytest.mark.parametrize(
    ("text", "canonical", "kind"),
    [
        ("BRAF V600E", "p.Val600Glu", "substitution"),
        ("CFTR F508del", "p.Phe508del", "deletion"),
        ("ΔF508", "p.Phe508del", "deletion"),
        ("p.(Gly12Asp)", "p.(Gly12Asp)", "substitution"),
        ("p.G2019S", "p.Gly2019Ser", "substitution"),
        ("p.Arg97ProfsTer23", "p.Arg97ProfsTer23", "frameshift"),
        ("Arg97ProfsTer23", "p.Arg97ProfsTer23", "frameshift"),
        ("p.Trp24*", "p.Trp24Ter", "substitution"),
        ("NM_004333.6:c.1799T>A", "NM_004333.6:c.1799T>A", "substitution"),
        ("c.88+2T>G", "c.88+2T>G", "substitution"),
        ("c.1521_1523delCTT", "c.1521_1523delCTT", "deletion"),
        ("c.68_69delinsA", "c.68_69delinsA", "delins"),
        ("m.3243A>G", "m.3243A>G", "substitution"),
        ("g.(?_234567)_(345678_?)del", "g.(?_234567)_(345678_?)del", "deletion"),
        ("the MTHFR C677T variant", "C677T", "substitution"),
        ("185delAG", "185delAG", "deletion"),
        ("IVS2+1G>A", "IVS2+1G>A", "substitution"),
    ],
)
def test_variants_are_read_in_the_ways_that_papers_write_them(text: str, canonical: str, kind: str) -> None:
    [variant] = found(text, "variant")
    assert variant.variant is not None
    assert (variant.variant.canonical, variant.variant.kind, variant.status) == (canonical, kind, "syntax_only")


def test_a_variants_gene_is_inferred_and_said_to_be() -> None:
    one, other = found("BRAF V600E was seen. Another variant, p.Lys601Glu, was rare.", "variant")
    assert one.variant
    assert (one.variant.gene, one.variant.gene_inferred) == ("BRAF", False)
    assert other.variant
    assert (other.variant.gene, other.variant.gene_inferred) == ("BRAF", True)


def test_what_is_wrong_with_a_reference_is_said() -> None:
    [variant] = found("NM_004333:c.1799T>A", "variant")
    assert variant.notes == ("no version: the sequence is not determined",)
    [variant] = found("NC_000001.10:g.12345A>G", "variant")
    assert variant.variant is not None
    assert variant.variant.assembly == "GRCh37"


@pytest.mark.parametrize(
    "description",
    ["c.1799T>A", "c.-5+3A>G", "c.*12_*13del", "g.5_6dupAC", "n.3_4insT", "c.68_69delinsA", "p.Val600Glu", "p.V600*",
     "p.Trp24Ter", "p.Lys5_Arg7del"],
)  # fmt: skip
def test_the_grammar_agrees_with_the_patterns_that_spare_it(description: str) -> None:
    assert Grammar().kind(description) == parsed(description)


def test_a_text_full_of_unusual_descriptions_is_read_in_seconds() -> None:
    start = time.process_time()
    found(" ".join(f"p.Arg{number}ProfsTer{number}" for number in range(1, 3000)))
    assert time.process_time() - start < 10


@pytest.mark.parametrize("text", ["BRAF V600V", "c.ABC", "p.Xyz12Foo", "a p.m. dose", "the c. elegans", "rs0", "RS123"])
def test_what_no_grammar_reads_is_no_variant(text: str) -> None:
    assert found(text, "variant", "rsid") == []


@pytest.mark.parametrize(
    "text",
    ["rs334", "NM_000546.6", "ENSG00000141510.18", "GSE12345", "PRJNA123456", "SRR1234567", "NCT01234567", "PXD012345",
     "phs001672.v1.p1", "EGAS00001000992", "E-MTAB-1234", "GO:0006915", "MONDO:0009061", "R-HSA-109581", "LRG_292",
     "PMID: 12345678", "PMC1234567", "10.1038/s41586-020-1234-5", "CRD42020123456", "RRID:AB_2298772"],
)  # fmt: skip
def test_identifiers_are_told_by_their_form_wherever_they_stand(text: str) -> None:
    for sentence in (text, f"({text})", f"see {text}, which", f"at {text}."):
        [mention] = found(sentence, "rsid", "accession")
        assert (mention.text, mention.status, mention.span.of(sentence)) == (text, "syntax_only", text)


def test_an_abbreviation_means_what_the_text_says_from_there_on() -> None:
    assert said("Parkinson’s disease (PD) is common. PD is slow.")["PD"] == "Parkinson disease"
    assert said("The androgen receptor (AR) is a target. AR was high.")["AR"] == "AR"
    assert "APC" not in said("Antigen-presenting cells (APC) were few. APC expression fell.")


@settings(deadline=None)  # a busy machine is no fault
@given(
    st.lists(
        st.sampled_from(["BRCA1", "/2", "p.", "V600E", "(", ")", " ", "IL-", "6", "α", "𝛼", "ﬁ", "rs1", "c.", "1A>G"])
    ).map("".join)
)
def test_every_mention_is_an_exact_span_of_what_was_sent(sent: str) -> None:
    document = clean(sent)
    for mention in FINDER.mentions(document.clean):
        span = document.located(mention.span)
        assert document.clean[mention.span.start : mention.span.end] == mention.text
        assert sent[span.start : span.end] == document.quote(span)


@pytest.mark.parametrize("part", ["ACGT", "p.", "c.1", "BRCA1/", "(AR)", "V600E ", "a ", "rs1", "TNF-α ", "p.[("])
def test_a_hostile_text_is_read_in_seconds(part: str) -> None:
    start = time.process_time()
    found((part * 30_000)[:30_000])
    assert time.process_time() - start < 10
