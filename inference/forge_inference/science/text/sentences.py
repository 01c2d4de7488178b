"""Where sentences of scientific prose end.

A full stop is looked at with what stands before and behind it; each rule is a named question. No statistics, no tables
of words that could begin a sentence in a newspaper: a paper's sentences begin with mRNA, 5′-UTRs and [3H]thymidine.
"""

import re
from bisect import bisect_right
from collections.abc import Iterator

from forge_inference.science.text.abbreviations import BINDING, LEADING, LETTERED, OPENING, TRAILING
from forge_inference.science.text.document import Span
from forge_inference.science.text.headings import is_heading

_SUPERSCRIPTS = "⁰¹²³⁴⁵⁶⁷⁸⁹"
_CLOSING = "\"'”’»)\\]}"
# A stop, what closes with it, citation marks behind it, and the space that a new sentence needs.
_STOP = re.compile(
    rf"(?P<mark>[.!?…]{{1,6}})(?P<closed>[{_CLOSING}]{{0,4}})"
    rf"(?P<cited>(?:\ ?\[\d[\d,–\- ]{{0,40}}\]|[{_SUPERSCRIPTS}][{_SUPERSCRIPTS},–⁻]{{0,20}}"
    r"|(?<=[a-z)]\.)\d{1,3}(?:[,–-]\d{1,3}){0,8})?)"
    r"(?=\s|$)"
)
_PARAGRAPH = re.compile(r"\n[ \t]*\n\s*|\n(?=[ \t]*(?:[-•·*‣▪][ \t]|\(?\d{1,2}[.)][ \t]))")
_BEFORE = re.compile(r"[^\s(\[{“‘\"']{1,60}$")
_NEXT = re.compile(r"\S{1,40}")
_INITIAL = re.compile(r"(?:[A-Z]\.-?)*[A-Z]")
_DOTTED = re.compile(r"(?:[a-z]\.)+[a-z]")
_NUMBERED = re.compile(r"\(?(?:\d{1,2}|[ivx]{1,4}|[a-hA-H])[.)]?")
# A word in lower case that begins a sentence has a digit, a capital or a Greek letter: p53, mRNA, α-synuclein, c-Myc.
_LOWER_START = re.compile(r"[a-zα-ω][^\s]*[A-Z0-9Α-Ω]|[α-ω]|[a-z]-[A-Z]|[a-z]{2,4}-[A-Z0-9]|p-value|q-value|t-test")
_LONGEST_ASIDE = 600  # characters; what is not closed by then was never meant to be


def sentences(text: str) -> list[Span]:
    """Spans of sentences in their order, without the space around them. Every other character is in one of them."""
    found = []
    for block in _blocks(text):
        asides = _asides(text, block)
        start = block.start
        for end in (*_ends(text, block, asides), block.end):
            sentence = _stripped(text, Span(start, end))
            if sentence.start < sentence.end:
                found.append(sentence)
            start = end
    return found


def _blocks(text: str) -> Iterator[Span]:
    """Paragraphs, items of lists, and lines that are headings."""
    start = 0
    for gap in _PARAGRAPH.finditer(text):
        yield from _lines(text, Span(start, gap.start()))
        start = gap.end()
    yield from _lines(text, Span(start, len(text)))


def _lines(text: str, block: Span) -> Iterator[Span]:
    said = block.of(text)
    if "\n" not in said:
        yield block
        return
    lines, start, place = said.split("\n"), block.start, block.start
    longest = max(map(len, lines))
    for line, following in zip(lines, (*lines[1:], ""), strict=True):
        place += len(line) + 1
        # A line that ends early, without a stop, before a capital letter is a title; a wrapped line is a long one.
        ends_early = len(line) < longest * 0.6 and line.strip()[-1:].isalnum() and following.strip()[:1].isupper()
        if is_heading(line) or (following and is_heading(following)) or ends_early:
            yield Span(start, min(place, block.end))
            start = min(place, block.end)
    yield Span(start, block.end)


def _stripped(text: str, span: Span) -> Span:
    said = span.of(text)
    start = span.start + len(said) - len(said.lstrip())
    return Span(start, max(start, span.end - len(said) + len(said.rstrip())))


def _asides(text: str, block: Span) -> list[Span]:
    """What stands in round brackets, outermost ones, in their order."""
    found, open_at = list[Span](), list[int]()
    for place in range(block.start, block.end):
        if text[place] == "(":
            open_at.append(place)
        elif text[place] == ")" and open_at:
            start = open_at.pop()
            if place - start <= _LONGEST_ASIDE:
                while found and found[-1].start > start:
                    found.pop()
                found.append(Span(start, place + 1))
    return found


def _ends(text: str, block: Span, asides: list[Span]) -> Iterator[int]:
    starts, since = [aside.start for aside in asides], block.start
    for stop in _STOP.finditer(text, block.start, block.end):
        around = bisect_right(starts, stop.start()) - 1
        if around >= 0 and stop.end() < asides[around].end:
            # Inside brackets nothing ends, unless they hold whole sentences and began as one.
            opened = asides[around].start
            if opened >= since and not _is_blank(text, since, opened):
                continue
        if _ends_here(text, stop, since, block.end):
            yield stop.end()
            since = stop.end()


def _ends_here(text: str, stop: re.Match[str], since: int, limit: int) -> bool:
    following = _NEXT.search(text, stop.end(), min(limit, stop.end() + 200))
    if following is None:
        return True
    after = following[0]
    if stop["cited"] or stop["mark"][0] in "!?":
        return _begins(after)
    before = _BEFORE.search(text, max(since, stop.start() - 60), stop.start())
    word = before[0] if before else ""
    if stop["closed"]:
        return _begins(after) and not (after[0] in "([" and not stop["closed"].strip(")]"))
    if stop["mark"] != ".":
        return _begins(after) if stop["mark"] == "…" or len(stop["mark"]) > 1 else False
    return _full_stop(text, word, before.start() if before else stop.start(), after, since)


def _full_stop(text: str, word: str, place: int, after: str, since: int) -> bool:
    """Whether the stop behind a word ends its sentence, given the word that follows."""
    first = re.split(r"[\s,;:.)’'-]", after.lstrip("([“‘\"'"))[0]
    opening = first[:1].isupper() and first.lower() in OPENING
    if _is_blank(text, since, place) and _NUMBERED.fullmatch(word):
        return False  # the number of an item or of a heading
    if _INITIAL.fullmatch(word):
        previous = text[max(since, place - 60) : place].split()[-1:] or [""]
        lettered = previous[0].lower().strip("(,;") in LETTERED or previous[0].isdigit()
        return _begins(after) and (lettered or (opening and len(first) > 1))
    bare = word.lstrip("~≈±").lower()
    kinds = {bare, re.split(r"[-–/,;:]", bare)[-1]}
    if kinds & BINDING:
        return False
    if kinds & LEADING or _DOTTED.fullmatch(bare):
        return opening
    if bare in TRAILING:
        measured = text[max(since, place - 12) : place].rstrip()[-1:].isdigit()  # "after 21 d. Colonies"
        return (
            opening
            or (measured and first[:1].isupper())
            or (bare == "al" and first[:1].isupper() and after[0] not in "([")
        )
    return _begins(after)


def _is_blank(text: str, start: int, end: int) -> bool:
    return end - start < 200 and not text[start:end].strip()


def _begins(word: str) -> bool:
    """Whether a sentence may begin with this word."""
    bare = word.lstrip("([{“‘\"'«¿¡*†‡~≈<>±+−-")
    if not any(letter.isalnum() for letter in bare):
        return word[0] in "“‘\"'([{—–*†‡"
    return not bare[0].islower() or bool(_LOWER_START.match(bare))
