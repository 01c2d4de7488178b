"""Variants: found by their shape, read by the HGVS grammar, or known as papers have always written them."""

import re
from collections.abc import Iterator

from forge_inference.science.concepts.grammar import Grammar
from forge_inference.science.concepts.kinds import Mention, Variant
from forge_inference.science.concepts.places import Places
from forge_inference.science.text.document import Span
from forge_inference.science.text.folding import folded

_THREE = {
    "A": "Ala", "R": "Arg", "N": "Asn", "D": "Asp", "C": "Cys", "E": "Glu", "Q": "Gln", "G": "Gly", "H": "His",
    "I": "Ile", "L": "Leu", "K": "Lys", "M": "Met", "F": "Phe", "P": "Pro", "S": "Ser", "T": "Thr", "W": "Trp",
    "Y": "Tyr", "V": "Val", "X": "Ter", "*": "Ter", "U": "Sec",
}  # fmt: skip
_AA3 = "|".join(sorted({*_THREE.values()}))
_AA1 = "[ACDEFGHIKLMNPQRSTVWY]"
_REFERENCE = r"(?:(?:N[CGMRPTW]_|X[MRP]_|ENS[TPG]|LRG_)[0-9tp]+(?:\.\d+)?(?:\([A-Z0-9_.]{3,20}\))?)"
_HGVS = re.compile(
    rf"(?<![A-Za-z0-9_.])(?:(?P<reference>{_REFERENCE}):\s?|(?P<gene>[A-Z][A-Z0-9-]{{1,9}}):\s?)?"
    r"(?P<level>[cgmnrp])\.\s?(?P<rest>[(\[]?[A-Za-z0-9*?=+\-_>()\[\];:/]{1,300})"
)
# The amino acids' names make this safe without `p.`: Val600Glu, Arg97ProfsTer23, Phe508del.
_NAMED = re.compile(
    rf"(?<![A-Za-z0-9.])(?P<rest>(?:{_AA3})[1-9]\d{{0,4}}(?:(?:{_AA3})?fs(?:(?:Ter|\*|X)\d{{0,4}})?|{_AA3}|\*|del|dup|=))"
    r"(?![A-Za-z0-9])"
)
# One letter each: V600E. Many other things look so; what speaks for a variant is asked of the words around it.
_SHORT = re.compile(
    rf"(?<![A-Za-z0-9.-])(?P<from>{_AA1})(?P<at>[1-9]\d{{0,3}})(?P<to>{_AA1}|\*|X|fs\*?\d{{0,4}})(?![A-Za-z0-9]|\.\d)"
)
_DELTA = re.compile(
    rf"(?<![A-Za-z0-9])(?:(?:Δ|delta)(?P<one>{_AA1})(?P<at>[1-9]\d{{0,3}})|(?P<one2>{_AA1})(?P<at2>[1-9]\d{{1,3}})del)(?![A-Za-z0-9])"
)
_LEGACY = re.compile(
    r"(?<![A-Za-z0-9.])(?:(?P<bases>\d{1,5}(?:_\d{1,5})?(?:del|ins|dup)[ACGT]{1,12})|(?P<intron>IVS\d{1,3}[+-]\d{1,4}[ACGT]>[ACGT])"
    r"|(?P<number>[1-9]\d{1,4}[ACGT]>[ACGT]))(?![A-Za-z0-9])"
)
_BASES = set("ACGT")
_LIST = re.compile(r"[\s(]*(?:[A-Z]\d+[A-Z][\s,/]*(?:and|or)?\s*){1,4}")  # of variants of one gene
_CUES = re.compile(
    r"\b(?:mutat\w*|mutant\w*|variant\w*|substitution\w*|missense|nonsense|polymorphism\w*|SNPs?|allele\w*|genotype\w*"
    r"|carrier\w*|homozyg\w*|heterozyg\w*|hotspot\w*|residue\w*|amino acid\w*|codon\w*|p\.|knock-?in|resistan\w*)\b",
    re.IGNORECASE,
)
# Cell lines, histones, kinases and receptors in the same shape.
_NEVER = frozenset(
    ["H2A", "H2B", "S6K", "E2F", "M1A", "C3H", "P3H", "D2R", "L1C", "C2C", "S1P", "P2Y", "P2X", "E1A", "E1B", "F1A"]
)
# NCBI's versions of the chromosomes 1 to 22, X and Y in GRCh37; each is one higher in GRCh38.
_GRCH37 = (10, 11, 11, 11, 9, 11, 13, 10, 11, 10, 9, 11, 10, 8, 9, 9, 10, 9, 9, 10, 8, 10, 10, 9)


def variants(text: str, genes: Places) -> Iterator[Mention]:
    """Non-overlapping; `genes` are the grounded genes with their symbols."""
    taken, grammar = Places(), Grammar()
    described = [*_described(text, grammar), *_named(text, grammar)]
    sure = Places((mention.span, "") for mention in described)
    for mention in (*described, *_legacy(text), *_short(text, genes, sure)):
        if not taken.meet(mention.span):
            taken.add(mention.span)
            yield mention


def _described(text: str, grammar: Grammar) -> Iterator[Mention]:
    same = folded(text)
    for found in _HGVS.finditer(same):
        rest, kind = _closed(found["rest"]), None
        while rest and not (kind := grammar.kind(f"{found['level']}.{rest}")):
            rest = _shorter(rest)
        if not kind:
            continue
        end = found.start("rest") + len(rest)
        level, reference = found["level"], found["reference"]
        notes = []
        if reference and "." not in reference and not reference.startswith("LRG"):
            notes.append("no version: the sequence is not determined")
        if reference and level == "g" and reference.startswith("NM_"):
            notes.append("g. on a transcript: the level does not fit the reference")
        canonical = _canonical(level, rest)
        variant = Variant(
            kind, level, f"{reference}:{canonical}" if reference else canonical, reference, found["gene"],
            assembly=_assembly(reference),
        )  # fmt: skip
        yield _mention(text, Span(found.start(), end), variant, tuple(notes))


def _named(text: str, grammar: Grammar) -> Iterator[Mention]:
    for found in _NAMED.finditer(text):
        rest = found["rest"].replace("X", "Ter") if "fs" in found["rest"] else found["rest"]
        kind = grammar.kind(f"p.{rest}")
        if kind:
            yield _mention(text, Span(*found.span()), Variant(kind, "p", _canonical("p", rest)))


def _legacy(text: str) -> Iterator[Mention]:
    for found in _DELTA.finditer(text):
        letter, place = found["one"] or found["one2"], found["at"] or found["at2"]
        variant = Variant("deletion", "p", f"p.{_THREE[letter]}{place}del", legacy=bool(found["one"]))
        yield _mention(text, Span(*found.span()), variant)
    for found in _LEGACY.finditer(folded(text)):
        kind = "substitution" if ">" in found[0] else re.sub(r"[^a-z]", "", found[0]) or "deletion"
        kinds = {"del": "deletion", "ins": "insertion", "dup": "duplication"}
        yield _mention(text, Span(*found.span()), Variant(kinds.get(kind, kind), None, found[0], legacy=True))


def _short(text: str, genes: Places, sure: Places) -> Iterator[Mention]:
    for found in _SHORT.finditer(text):
        span, one, to = Span(*found.span()), found["from"], found["to"]
        if f"{one}{found['at']}{to[0]}" in _NEVER or one == to or not _cued(text, span, genes, sure):
            continue
        if {one, to} <= _BASES and len(found["at"]) >= 3:  # C677T: a base in a gene, as it was written before HGVS
            variant = Variant("substitution", None, found[0], legacy=True)
        elif "fs" in to:
            variant = Variant("frameshift", "p", f"p.{_THREE[one]}{found['at']}fs")
        else:
            variant = Variant("substitution", "p", f"p.{_THREE[one]}{found['at']}{_THREE[to]}")
        yield _mention(text, span, variant)


def _cued(text: str, span: Span, genes: Places, sure: Places) -> bool:
    """Whether a gene stands right before or behind, or another variant near, or the words around speak of variants."""
    if _CUES.search(text[max(0, span.start - 50) : span.end + 40]):
        return True
    # What is near a variant that is surely one is another name of it, or its neighbour.
    if any(_distance(span, other) <= 30 for other, _ in sure.around(span)):
        return True
    return any(
        _distance(span, gene) <= 3 or (_distance(span, gene) <= 25 and _LIST.fullmatch(text[gene.end : span.start]))
        for gene, _ in genes.around(span)
    )


def _distance(one: Span, other: Span) -> int:
    """Characters between two spans."""
    return max(one.start - other.end, other.start - one.end)


def located(mention: Mention, genes: Places) -> Mention:
    """With the gene that stands nearest before it; an inference, and said to be one unless they touch."""
    variant = mention.variant
    if variant is None or variant.gene or variant.reference:
        return mention
    before = [each for each in genes.around(mention.span) if 0 <= mention.span.start - each[0].end <= 120]
    if not before:
        return mention
    gene, symbol = before[-1]
    inferred = mention.span.start - gene.end > 2
    named = Variant(variant.kind, variant.level, variant.canonical, None, symbol, inferred, None, variant.legacy)
    return Mention(mention.span, mention.text, "variant", mention.status, "rule", notes=mention.notes, variant=named)


def _mention(text: str, span: Span, variant: Variant, notes: tuple[str, ...] = ()) -> Mention:
    return Mention(span, span.of(text), "variant", "syntax_only", "rule", notes=notes, variant=variant)


def _closed(rest: str) -> str:
    """Without what belongs to the sentence: brackets that were opened before, and marks behind."""
    rest = rest.rstrip("-:;/_(")
    for opening, closing in ("()", "[]"):
        while rest.endswith(closing) and rest.count(closing) > rest.count(opening):
            rest = rest[:-1]
    return rest.rstrip("-:;/_+")


def _shorter(rest: str) -> str:
    """Up to the last mark: "Val600Glu/Lys" is tried as "Val600Glu" next. Nothing when there is no mark."""
    cut = max(rest.rfind(mark) for mark in "/;:-([")
    return _closed(rest[:cut]) if cut > 0 else ""


def _canonical(level: str, rest: str) -> str:
    if level != "p":
        return f"{level}.{rest}"
    return "p." + re.sub(
        r"(?<![A-Za-z])([ACDEFGHIKLMNPQRSTVWYX])(?=\d|fs|$|[)*;\]])|(?<=\d)([ACDEFGHIKLMNPQRSTVWYX*])(?![A-Za-z])|(?<=\d)([A-Z])(?=fs)",
        lambda found: _THREE[found[0]],
        rest,
    )


def _assembly(reference: str | None) -> str | None:
    """Which assembly a chromosome's accession belongs to, told by its version."""
    found = re.fullmatch(r"NC_0000(\d\d)\.(\d+)", reference or "")
    if not found or not 1 <= int(found[1]) <= len(_GRCH37):
        return None
    return {0: "GRCh37", 1: "GRCh38"}.get(int(found[2]) - _GRCH37[int(found[1]) - 1])
