"""Whether a description is HGVS, and of which kind: common forms by a pattern, all others by the whole grammar."""

import re
from functools import lru_cache

from mutalyzer_hgvs_parser import to_model
from mutalyzer_hgvs_parser.exceptions import UnexpectedCharacter, UnexpectedEnd

_LONGEST = 300  # characters of one variant; the grammar's time grows with them
_MOST = 300  # descriptions of one text that the grammar reads: each takes milliseconds
_KINDS = {"frame_shift": "frameshift", "deletion_insertion": "delins", "equal": "no_change"}

_THREE = "Ala|Arg|Asn|Asp|Cys|Gln|Glu|Gly|His|Ile|Leu|Lys|Met|Phe|Pro|Ser|Thr|Trp|Tyr|Val"
_AMINO = rf"(?:{_THREE}|[ACDEFGHIKLMNPQRSTVWY])"
_AT = r"[-*]?[1-9]\d{0,8}(?:[+-][1-9]\d{0,5})?"
_COMMON = (
    (re.compile(rf"[cgnm]\.{_AT}[ACGT]>[ACGT]"), "substitution"),
    (re.compile(rf"[cgnm]\.{_AT}(?:_{_AT})?del[ACGT]{{0,20}}"), "deletion"),
    (re.compile(rf"[cgnm]\.{_AT}(?:_{_AT})?dup[ACGT]{{0,20}}"), "duplication"),
    (re.compile(rf"[cgnm]\.{_AT}_{_AT}ins[ACGT]{{1,20}}"), "insertion"),
    (re.compile(rf"[cgnm]\.{_AT}(?:_{_AT})?delins[ACGT]{{1,20}}"), "delins"),
    (re.compile(rf"p\.{_AMINO}[1-9]\d{{0,4}}(?:{_AMINO}|Ter|\*)"), "substitution"),
    (re.compile(rf"p\.{_AMINO}[1-9]\d{{0,4}}(?:_{_AMINO}[1-9]\d{{0,4}})?del"), "deletion"),
)


class Grammar:
    """Reads the descriptions of one text."""

    def __init__(self) -> None:
        self._left = _MOST

    def kind(self, description: str) -> str | None:
        """Substitution, deletion …; None for what is no variant, and for what is unusual beyond the first hundreds."""
        for form, kind in _COMMON:
            if form.fullmatch(description):
                return kind
        if self._left <= 0 or len(description) > _LONGEST:
            return None
        self._left -= 1
        return parsed(description)


@lru_cache(maxsize=4096)
def parsed(description: str) -> str | None:
    """What the grammar says, which takes its time; it asks for a reference, so it gets one."""
    try:
        model = to_model(f"X:{description}")
    except (UnexpectedCharacter, UnexpectedEnd):
        return None
    kinds = [str(each["type"]) for each in model.get("variants", []) if "type" in each]
    if not kinds:
        return None
    return _KINDS.get(kinds[0], kinds[0]) if len(kinds) == 1 else "several"
