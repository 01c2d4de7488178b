"""What papers call their sections."""

import re
from typing import Literal

Kind = Literal[
    "title", "abstract", "intro", "methods", "results", "discussion", "conclusions", "limitations", "references",
    "acknowledgements", "data_availability", "code_availability", "ethics", "funding", "coi", "contributions",
    "appendix", "supplementary", "body", "unknown",
]  # fmt: skip

_NAMES: dict[Kind, str] = {
    "abstract": r"abstract|summary|synopsis|significance(?: statement)?|highlights|author summary",
    "intro": r"introduction|background|background and (?:aims|objectives?|purpose)|context|rationale|related work"
    r"|aims?|aims? of the study|objectives?|purpose|importance|preliminaries|hypothes[ie]s|question",
    "methods": r"(?:materials?|patients?|subjects?|participants?|animals?|data) and methods?|methods? and materials?"
    r"|methods?|methodology|online methods|star\W{0,3}methods|experimental (?:procedures?|section|design|setup|methods)"
    r"|study design(?: and (?:participants|setting|population))?|design(?:, setting,? and participants)?|setting"
    r"|participants|patients|interventions?|main outcomes?(?: and measures)?|measurements?"
    r"|statistical analys[ie]s|trial design|experiments?|approach|data and methods|sample|models? and methods?"
    r"|outcome measures?|data collection",
    "results": r"results?|findings?|main results?|results and (?:discussion|analysis)|observations|key results"
    r"|experimental results|case (?:report|presentation)|evaluation",
    "discussion": r"discussion|general discussion|interpretation|discussion and conclusions?|comment|perspectives?",
    "conclusions": r"conclusions?|concluding remarks|conclusions? and (?:relevance|outlook|future work|perspectives)"
    r"|summary and conclusions?|outlook|clinical relevance|translational relevance",
    "limitations": r"limitations?|limitations? of (?:the|this|our) (?:study|work)|study limitations"
    r"|strengths and limitations",
    "references": r"references|bibliography|literature cited|works cited|references and notes|cited literature",
    "acknowledgements": r"acknowledge?ments?",
    "data_availability": r"(?:data(?: and code| and materials?)?|resource) (?:availability|accessibility|access)"
    r"(?: statement)?|data sharing(?: statement)?|availability of data(?: and materials?)?|data deposition"
    r"|accession (?:numbers|codes)|associated data",
    "code_availability": r"(?:code|software)(?: and data)? availability(?: statement)?|availability of code",
    "ethics": r"ethics?(?: statement| approval| declarations?)?(?: and consent(?: to participate)?)?|ethical approval"
    r"|ethical (?:considerations|statement)|informed consent(?: statement)?|institutional review board statement"
    r"|animal (?:ethics|welfare|care)(?: statement)?|consent for publication",
    "funding": r"funding(?: statement| sources?| information)?|financial support|grant support|sources? of funding",
    "coi": r"(?:competing|conflicts?(?: of)?|declaration of(?: competing| conflicting)?) interests?(?: statement)?"
    r"|disclosures?|conflicts? of interest(?: statement)?|competing financial interests?",
    "contributions": r"author(?:s['’])? contributions?|contributors|credit author(?:ship)? (?:contribution )?statement",
    "appendix": r"appendix|appendices|appendix [a-z0-9]",
    "supplementary": r"(?:supplementary|supporting|supplemental|additional)"
    r" (?:materials?|information|data|methods|files?)|supplement",
}
_KINDS: tuple[tuple[Kind, re.Pattern[str]], ...] = tuple(
    (kind, re.compile(names, re.IGNORECASE)) for kind, names in _NAMES.items()
)
_FRAME = re.compile(
    r"(?:#{1,6}\s*|\\section\*?\{)?(?:(?:\d{1,2}|[IVX]{1,4})(?:\.\d{1,2}){0,3}[.):]?\s+)?(?P<name>.+?)[.:}#*_]*"
)
_NUMBERED = re.compile(r"(?:#{1,6}\s+|\d{1,2}[.)]?\s+)[A-Z](?:(?!\.\s|\d{4})[^\n.;:]){2,70}[^\s.,;:]")
_SUBORDINATE = re.compile(r"\d{1,2}(?:\.\d{1,2}){1,3}[.)]?\s+[A-Z][^\n]{2,88}[^\s.,;:]")


def kind_of(heading: str) -> Kind | None:
    """What a section with this heading is; None when no paper calls it so."""
    framed = _FRAME.fullmatch(" ".join(heading.split()))
    name = framed["name"] if framed else heading
    return next((kind for kind, names in _KINDS if names.fullmatch(name.strip(" .:*_"))), None)


def is_heading(line: str) -> bool:
    """Whether a line is a heading by its words or its number, also one of a part of a section."""
    line = line.strip()
    return 2 < len(line) <= 90 and bool(kind_of(line) or _NUMBERED.fullmatch(line) or _SUBORDINATE.fullmatch(line))
