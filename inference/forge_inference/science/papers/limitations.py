"""Limitations that the authors state themselves. What anybody else infers is no business of this module."""

import re

from forge_inference.science.papers.paper import Paper, Sentence
from forge_inference.science.papers.words import LIMITATIONS

_SAID_THERE = {"discussion", "conclusions", "limitations", "body"}
# "Our study has several limitations." says that some will follow, and none itself.
_ANNOUNCED = re.compile(
    r"^[^:,;]{0,80}\b(?:limitations?|caveats?|shortcomings|weaknesses)\b[^:,;]{0,40}\.$", re.IGNORECASE
)
_NAMES_ONE = re.compile(r"\b(?:include|includes|is that|are that|lack of|limited by)\b", re.IGNORECASE)
_CUE = re.compile(
    r"\bcannot be (?:excluded|ruled out|generali[sz]ed|established|determined)\b|\bmay not (?:apply|generali[sz]e"
    r"|be representative)\b"
    r"|\b(?:was|were|is|are) not (?:powered|known|validated)\b|\bwe (?:did not|could not"
    r"|were unable to) (?:measure|test|assess|examine|control|exclude|adjust|determine)\b"
    r"|\bonly (?:in|on|one|two|a single)\b[^.;]{0,60}\b(?:culture|vitro|strain|cent(?:er|re)|site|sex)\b"
    r"|\brecall bias\b|\bselection bias\b"
    r"|\bsmall (?:sample|number of)\b|\b(?:is|are|was|were) limited (?:by|to)\b|\btested only\b",
    re.IGNORECASE,
)


def stated(paper: Paper) -> list[Sentence]:
    """In their order: under such a heading, behind an announcement in the same paragraph, or by their words."""
    found, announced_until = list[Sentence](), -1
    for sentence in paper.sentences:
        if sentence.kind not in _SAID_THERE:
            continue
        text = sentence.text
        if LIMITATIONS.search(text) and _ANNOUNCED.match(text) and not _NAMES_ONE.search(text):
            announced_until = _paragraph_end(paper, sentence)
        elif (
            sentence.kind == "limitations"
            or sentence.span.start < announced_until
            or LIMITATIONS.search(text)
            or _CUE.search(text)
        ):
            found.append(sentence)
    return found


def _paragraph_end(paper: Paper, sentence: Sentence) -> int:
    end = paper.text.find("\n\n", sentence.span.end)
    return end if end >= 0 else len(paper.text)
