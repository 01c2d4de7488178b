"""Tables: the built-in ones are sound, and a lab's own stand in their place."""

import re
from pathlib import Path

import pytest

from forge_inference.science.concepts.finding import Finder
from forge_inference.science.concepts.lexicon import UnreadableLexicon, builtin, provenance, read, tables

FORMS = {"gene": r"HGNC:\d+", "disease": r"MONDO:\d{7}", "pathway": r"GO:\d{7}", "drug": r"CHEBI:\d+"}
HGNC = "hgnc_id\tsymbol\tname\tstatus\talias_symbol\tprev_symbol\n"


def test_every_built_in_entry_has_an_identifier_of_its_table_and_no_other_entry_has_it() -> None:
    for table in builtin():
        ids = [entry.id for entry in table.entries]
        assert len(ids) == len(set(ids))
        assert all(re.fullmatch(FORMS.get(table.type, r"FPLX:\w+"), each) for each in ids), table.source
        assert table.source.endswith("@builtin-1")


def test_well_known_genes_have_the_identifiers_that_everybody_knows() -> None:
    genes = {entry.name: entry.id for table in builtin() if table.type == "gene" for entry in table.entries}
    known = {"TP53": 11998, "BRCA1": 1100, "BRAF": 1097, "EGFR": 3236, "KRAS": 6407, "CFTR": 1884}
    assert {name: genes[name] for name in known} == {name: f"HGNC:{number}" for name, number in known.items()}


def test_a_labs_own_genes_stand_in_the_place_of_the_built_in_ones(tmp_path: Path) -> None:
    own = tmp_path / "hgnc_complete_set.txt"
    own.write_text(
        HGNC + 'HGNC:5\tA1BG\talpha-1-B glycoprotein\tApproved\t"OLD1|OLD2"\t\nHGNC:6\tGONE1\tx\tEntry Withdrawn\t\t\n'
    )
    finder = Finder([own])
    [mention] = finder.mentions("A1BG but neither TP53 nor GONE1")
    assert mention.identifier is not None
    assert (mention.identifier.id, mention.text) == ("HGNC:5", "A1BG")
    assert finder.mentions("OLD2 protein")[0].identifier == mention.identifier
    stands = provenance(finder.tables)
    assert stands["gene"]["digest"].startswith("sha256:")
    assert "builtin" not in stands["gene"]["source"]
    assert stands["disease"]["source"] == "mondo@builtin-1"


def test_two_tables_of_one_type_are_both_looked_up_and_both_named(tmp_path: Path) -> None:
    one, other = tmp_path / "hgnc.tsv", tmp_path / "lab.tsv"
    one.write_text(HGNC + "HGNC:5\tA1BG\talpha-1-B glycoprotein\tApproved\t\t\n")
    other.write_text(HGNC + "LAB:7\tQXR7\tour own\tApproved\t\t\n")
    finder = Finder([one, other])
    found = {mention.identifier.id for mention in finder.mentions("A1BG and QXR7") if mention.identifier}
    assert found == {"HGNC:5", "LAB:7"}
    stands = provenance(finder.tables)["gene"]
    assert len(stands["source"].split(", ")) == len(set(stands["digest"].split(", "))) == 2


def test_an_ontology_tells_its_version_and_keeps_what_is_obsolete_to_itself(tmp_path: Path) -> None:
    own = tmp_path / "mondo.obo"
    own.write_text(
        "format-version: 1.2\ndata-version: releases/2026-11-04\n\n[Term]\nid: MONDO:0000001\nname: odd disease\n"
        'synonym: "strange illness" EXACT []\n\n[Term]\nid: MONDO:0000002\nname: obsolete thing\nis_obsolete: true\n'
    )
    [table] = read(own)
    assert table.source == "mondo@releases/2026-11-04"
    assert [entry.name for entry in table.entries] == ["odd disease"]
    assert Finder([own]).mentions("a strange illness")[0].type == "disease"


@pytest.mark.parametrize(
    "content",
    [b"", b"a,b\n1,2\n", b"\xff\xfe", HGNC.encode(), b"format-version: 1.2\n\n[Term]\nid: XYZ:1\nname: thing\n"],
)
def test_a_file_that_is_no_table_is_refused_in_words(tmp_path: Path, content: bytes) -> None:
    own = tmp_path / "notes.txt"
    own.write_bytes(content)
    with pytest.raises(UnreadableLexicon, match=r"notes\.txt"):
        tables([own])
