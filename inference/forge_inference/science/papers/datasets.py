"""Data sets, benchmarks, repositories and registrations that a paper names, and what it does with each."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

from forge_inference.science.papers.benchmarks import CUED, WRITTEN
from forge_inference.science.papers.paper import Paper, Sentence
from forge_inference.science.text.document import Span

Kind = Literal["ml_benchmark", "named_resource", "repository_accession", "repository", "registry"]
Role = Literal["released", "used", "mentioned"]
Method = Literal["lexicon", "regex"]


@dataclass(frozen=True, slots=True)
class Dataset:
    """All places that name one thing; `role` is the most that any of them says."""

    name: str
    kind: Kind
    repository: str | None
    task: str | None
    role: Role
    spans: tuple[Span, ...]
    method: Method


@dataclass(frozen=True, slots=True)
class Named:
    """One place that names one."""

    name: str
    kind: Kind
    repository: str | None
    task: str | None
    span: Span
    method: Method


_ACCESSIONS: tuple[tuple[str, Kind, re.Pattern[str]], ...] = (
    ("GEO", "repository_accession", re.compile(r"\b(?:GSE|GSM|GPL|GDS)\d{2,9}\b")),
    ("SRA", "repository_accession", re.compile(r"\b(?:[SED]R[RXSP]\d{5,9}|PRJ[NED][A-Z]\d{3,9})\b")),
    ("ArrayExpress", "repository_accession", re.compile(r"\bE-[A-Z]{4}-\d{1,6}\b")),
    ("dbGaP", "repository_accession", re.compile(r"\bphs\d{6}(?:\.v\d{1,2}\.p\d{1,2})?\b")),
    ("EGA", "repository_accession", re.compile(r"\bEGA[SD]\d{11}\b")),
    ("PRIDE", "repository_accession", re.compile(r"\bPXD\d{6}\b")),
    ("MetaboLights", "repository_accession", re.compile(r"\bMTBLS\d{1,6}\b")),
    ("GWAS Catalog", "repository_accession", re.compile(r"\bGCST\d{6,9}\b")),
    ("PDB", "repository_accession", re.compile(
        r"(?<=\bPDB )\d[A-Z0-9]{3}\b|(?<=\bPDB ID )\d[A-Z0-9]{3}\b|(?<=\bPDB: )\d[A-Z0-9]{3}\b"
    )),
    ("Zenodo", "repository_accession", re.compile(r"\b10\.5281/zenodo\.\d{3,9}")),
    ("Dryad", "repository_accession", re.compile(r"\b10\.5061/dryad\.[\w.]{2,20}\w")),
    ("figshare", "repository_accession", re.compile(r"\b10\.6084/m9\.figshare\.\d{3,9}")),
    ("OSF", "repository_accession", re.compile(
        r"\b10\.17605/OSF\.IO/\w{3,8}|\bosf\.io/[a-z0-9]{5}\b",
        re.IGNORECASE,
    )),
    ("GitHub", "repository", re.compile(r"\bhttps?://(?:www\.)?github\.com/[\w.-]{1,60}/[\w.-]{0,60}\w")),
    ("GitLab", "repository", re.compile(r"\bhttps?://(?:www\.)?gitlab\.com/[\w./-]{1,120}\w")),
    ("Hugging Face", "repository", re.compile(r"\bhttps?://huggingface\.co/[\w./-]{1,120}\w")),
    ("ClinicalTrials.gov", "registry", re.compile(r"\bNCT\d{8}\b")),
    ("ISRCTN", "registry", re.compile(r"\bISRCTN ?\d{8}\b")),
    ("PROSPERO", "registry", re.compile(r"\bCRD42\d{6,9}\b")),
)  # fmt: skip
_WORD = re.compile(r"(?<![\w-])[A-Za-z0-9][\w'/.+-]{0,30}")
_CUE = re.compile(
    r"\b(?:data ?sets?|benchmarks?|corpus|corpora|challenge|leaderboard|test sets?|evaluat\w{1,4})\b", re.IGNORECASE
)
_RELEASES = re.compile(
    r"\b(?:deposit|releas|upload|made (?:publicly )?available|(?:is|are|be) (?:publicly |freely )?available|(?:is"
    r"|are) at\b|under accession)",
    re.IGNORECASE,
)
_USES = re.compile(
    r"\b(?:we|were|was|is|are) (?:\w{1,12} ){0,2}?(?:use|used|using|evaluate|evaluated|trained|tested|downloaded"
    r"|obtained|fine-tuned)\b"
    r"|\bevaluat|\b(?:training|fine-tun|test)\w{0,3} (?:on|sets?)\b|\bdownloaded from\b|\b(?:achiev|reach|obtain"
    r"|attain|improv|drop)\w{0,4}\b",
    re.IGNORECASE,
)
_NOT_USED = re.compile(r"\b(?:do|did|does) not use\b|\bnot used\b", re.IGNORECASE)
_LEXICAL = {"ml_benchmark", "named_resource"}
_ROLES: tuple[Role, ...] = ("released", "used", "mentioned")
_FIRST = {name.split(" ")[0] for name in WRITTEN}
_LONGEST = max(name.count(" ") for name in WRITTEN) + 1


def named(text: str) -> Iterator[Named]:
    """Every place of a folded text that names one, in no order."""
    for repository, kind, pattern in _ACCESSIONS:
        for found in pattern.finditer(text):
            yield Named(found[0], kind, repository, None, Span(*found.span()), "regex")
    yield from _benchmarks(text)


def _benchmarks(text: str) -> Iterator[Named]:
    last = 0
    for word in _WORD.finditer(text):
        first = word[0].rstrip(".,")
        if word.start() < last or first not in _FIRST:
            continue
        words = text[word.start() : word.start() + 60].split(" ")
        for count in range(_LONGEST, 0, -1):
            written = " ".join(words[:count]).rstrip(".,;:)]|")
            known = WRITTEN.get(written)
            if known is None:
                continue
            span = Span(word.start(), word.start() + len(written))
            if written not in CUED or _CUE.search(text, max(0, span.start - 60), span.end + 60):
                kind: Kind = "ml_benchmark" if known.is_benchmark else "named_resource"
                yield Named(known.name, kind, None, known.task, span, "lexicon")
                last = span.end
            break


def datasets(paper: Paper) -> list[Dataset]:
    """What the paper names outside of its references, in the order in which it is first named."""
    met: dict[str, list[tuple[Role, Named]]] = {}
    for sentence in paper.sentences:
        if sentence.kind != "references":
            for each in named(sentence.text):
                met.setdefault(each.name, []).append((_role(sentence, each), _at(each, sentence.span.start)))
    for table in paper.tables:
        for each in named(table.of(paper.folded)):
            met.setdefault(each.name, []).append(("mentioned", _at(each, table.start)))
    return sorted((_merged(name, places) for name, places in met.items()), key=lambda each: each.spans[0])


def _at(each: Named, start: int) -> Named:
    return replace(each, span=each.span.shifted(start))


def _role(sentence: Sentence, each: Named) -> Role:
    if each.kind == "registry":
        return "mentioned"
    if each.kind not in _LEXICAL and (
        _RELEASES.search(sentence.text) or sentence.kind in {"data_availability", "code_availability"}
    ):
        return "released"
    if sentence.kind in {"methods", "results", "abstract", "unknown", "body"} and not _NOT_USED.search(sentence.text):
        return "used" if _USES.search(sentence.text) else "mentioned"
    return "mentioned"


def _merged(name: str, places: list[tuple[Role, Named]]) -> Dataset:
    role = min((role for role, _ in places), key=_ROLES.index)
    first = places[0][1]
    spans = tuple(sorted({place.span for _, place in places}))
    return Dataset(name, first.kind, first.repository, first.task, role, spans, first.method)
