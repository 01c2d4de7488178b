"""Marks of the literature inside of sentences: [1,2–4], raised numbers, (Smith et al., 2019).

What only may be one is left: the [2, 9] of an interval, m², 10⁵, and "as in [3]", which would lose its noun.
"""

import re

_RAISED = "⁰¹²³⁴⁵⁶⁷⁸⁹"
_MORE = r"(?:\s?[,;–-]\s?\d{1,3}){0,30}"
_NOUN = "".join(rf"(?<!\b{word})" for word in ("in", "by", "of", "to", "and", "see", "from", "with", "ref", "refs"))
_INTERVAL = "".join(rf"(?<!{word})" for word in ("CI", "IQR", "range", "interval", r"[\d=:,%±]"))
_SPACE = r"(?:\ |(?<!\s))"  # taken along; never passed over, or what stands before it would not be seen
_NAME = r"[A-Z][\w'’-]{1,30}(?: et al\.?| (?:and|&) [A-Z][\w'’-]{1,30})?,? ?(?:19|20)\d\d[a-z]?"
_SHORT = "".join(rf"(?<!\b{word}\.)" for word in ("[Ff]ig", "[Ee]q", "[Nn]o", "[Rr]ef", "[Tt]ab"))

CITATION = re.compile(
    rf"{_NOUN}{_INTERVAL}{_SPACE}\[[1-9]\d{{0,2}}{_MORE}\]"
    rf"|{_NOUN}{_SPACE}\((?:(?:see|see also|reviewed in|e\.g\.,?|cf\.) )?{_NAME}(?:[;,] {_NAME}){{0,20}}\)"
    # Raised: behind a word or its stop. A short word or a metre is a unit, and its number a power.
    rf"|(?:(?<=[a-z]{{4}})(?<!metre)(?<!meter)|(?<=[a-z][.,;]))[{_RAISED}](?:[,–⁻-]?[{_RAISED}]){{0,20}}(?![⁺⁻\w])"
    # Raised once, and flat since the text left its page: "in rats,4 whereas", "of Europe.1 Stromal".
    rf"|(?<=[a-z)]\.){_SHORT}\d{{1,3}}(?:[,–-]\d{{1,3}}){{0,8}}(?=\s+[A-Z]|\s*$)"
    r"|(?<=[a-z)],)\d{1,3}(?:[,–-]\d{1,3}){0,8}(?=\s[a-z])",
    re.MULTILINE,
)
