"""Identifiers of databases, registries and literature. They are told by their form; none is looked up."""

import re
from collections.abc import Iterator

from forge_inference.science.concepts.kinds import Mention
from forge_inference.science.text.document import Span

_START = r"(?<![A-Za-z0-9_.-])"
_FORMS: dict[str, str] = {
    "refseq": r"(?:N[CGMRPTW]|X[MRP])_\d{6,9}(?:\.\d{1,3})?",
    "ensembl": r"ENS[A-Z]{0,4}[GTPE]\d{11}(?:\.\d{1,3})?",
    "lrg": r"LRG_\d{1,4}(?:[tp]\d{1,2})?",
    "geo": r"(?:GSE|GSM|GPL|GDS)\d{2,9}",
    "sra": r"[SED]R[RXSPA]\d{5,9}",
    "bioproject": r"PRJ[NED][A-Z]\d{2,9}",
    "biosample": r"SAM(?:N|EA|D)\d{5,11}",
    "arrayexpress": r"E-[A-Z]{4}-\d{1,6}",
    "ega": r"EGA[SDN]\d{11}",
    "dbgap": r"phs\d{6}(?:\.v\d{1,3}\.p\d{1,3})?",
    "pride": r"PXD\d{6}",
    "metabolights": r"MTBLS\d{1,6}",
    "massive": r"MSV\d{9}",
    "clinicaltrials": r"NCT\d{8}",
    "isrctn": r"ISRCTN\d{8}",
    "prospero": r"CRD42\d{9,11}",
    "rrid": r"RRID:\s?[A-Za-z]{2,12}[_:][A-Za-z0-9_:-]{2,20}",
    "pmid": r"PMID:?\s?\d{4,9}",
    "pmc": r"PMC\d{5,9}",
    "doi": r"10\.\d{4,9}/[A-Za-z0-9._;()/:<>-]{2,120}[A-Za-z0-9)>]",
    "go": r"GO:\d{7}",
    "mondo": r"MONDO:\d{7}",
    "hpo": r"HP:\d{7}",
    "chebi": r"CHEBI:\d{2,7}",
    "hgnc": r"HGNC:\d{1,6}",
    "omim": r"O?MIM:?\s?[#*]?\d{6}",
    "reactome": r"R-[A-Z]{3}-\d{3,9}",
    "clinvar": r"(?:RCV|SCV|VCV)\d{9}(?:\.\d{1,3})?",
    "uniprot": r"UniProt(?:KB)?:?\s?(?:[OPQ]\d[A-Z0-9]{3}\d|[A-NR-Z]\d(?:[A-Z][A-Z0-9]{2}\d){1,2})",
    "pdb": r"PDB(?: ID| code| entry)?:?\s?\d[A-Za-z0-9]{3}",
    "zenodo": r"zenodo\.\d{5,9}",
}
_ANY = re.compile(
    _START + "(?:" + "|".join(f"(?P<{name}>{form})" for name, form in _FORMS.items()) + r")(?![A-Za-z0-9_])"
)
_RSID = re.compile(r"(?<![A-Za-z0-9])rs[1-9]\d{1,11}(?![A-Za-z0-9])")
_UNVERSIONED = re.compile(r"[NX][CGMRP]_\d+")


def rsids(text: str) -> Iterator[Mention]:
    """dbSNP's names of places; such a name says nothing about which allele is there."""
    for found in _RSID.finditer(text):
        yield Mention(Span(*found.span()), found[0], "rsid", "syntax_only", "rule", notes=("a locus, not an allele",))


def accessions(text: str) -> Iterator[Mention]:
    """Everything else that names a record somewhere."""
    for found in _ANY.finditer(text):
        said = found[0]
        notes = [f"{found.lastgroup}"]
        if found.lastgroup == "doi" and said.endswith(")") and said.count(")") > said.count("("):
            said = said[:-1]
        if _UNVERSIONED.fullmatch(said):
            notes.append("no version: the sequence is not determined")
        yield Mention(
            Span(found.start(), found.start() + len(said)), said, "accession", "syntax_only", "rule", notes=tuple(notes)
        )
