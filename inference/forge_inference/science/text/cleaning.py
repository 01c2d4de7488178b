"""Scientific text as it is read: repaired where files and web pages broke it, never folded.

Compatibility folding (NFKC) is what must not happen here: it makes 10⁻³ a 10−3, m² an m2 and ¹⁴C a 14C.
"""

import html
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator

import ftfy
from ftfy.badness import is_bad
from ftfy.chardata import LIGATURES, WIDTH_MAP

from forge_inference.science.text.citations import CITATION
from forge_inference.science.text.document import Document
from forge_inference.science.text.traced import Edit, Traced

_PASSES = 10  # one repair may uncover another; each makes the text shorter or plainer, so few are ever needed

# Word by word, so that a repair moves no more than its word; long ones in parts, so that its search stays short.
_WORDS = re.compile(r"[^\x00-\x20]{1,400}")
_ENTITY = re.compile(r"&(?:#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")
_LETTERS = re.compile("[" + "".join(map(re.escape, map(chr, sorted({*LIGATURES, *WIDTH_MAP} - {0x20, 0x3000})))) + "]")
_COMPOSED = re.compile(r"[^\x00-\x7f]+")
_NOTHING = re.compile(
    "[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f"  # controls but tab and ends of lines
    "\u00ad\u200b\u200e\u200f\u2060\ufeff"  # soft hyphen, zero widths
    "\u202a-\u202e\u2066-\u2069]+"  # marks that turn the direction, with which text can look like another text
    "|(?<=[\\x00-\u052f])[\u200c\u200d]+"  # joiners, but for scripts that are read by them
)
_BREAKS = re.compile("\r\n|[\r\x0b\x0c\x85\u2028\u2029]")
_SPACES = re.compile("[\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]")
_SURROGATES = re.compile("[\ud800-\udbff][\udc00-\udfff]|[\ud800-\udfff]")
_HYPHENATED = re.compile(r"(?<![\w-])([A-Za-z]{2,40})-[ \t]*\n[ \t]*([a-z]{2,40})(?![\w-])")


def clean(sent: str | Traced, *, strip_citations: bool = False) -> Document:
    """The text as it is read. Cleaning what is clean changes nothing."""
    traced, edits = sent if isinstance(sent, Traced) else Traced(sent), Counter[str]()
    for _ in range(_PASSES):
        changes = Counter({step: count for step, count in _pass(traced, strip_citations) if count})
        if not changes:
            break
        edits += changes
    return Document(traced.first, traced.text, dict(edits), traced.starts, traced.ends)


def _pass(traced: Traced, strip_citations: bool) -> Iterator[tuple[str, int]]:
    yield "surrogates", traced.sub(_SURROGATES, _whole_character)
    if "<" not in traced.text:  # among tags, an entity may be meant as it stands
        yield "entities", traced.sub(_ENTITY, lambda found: html.unescape(found[0]))
    if is_bad(traced.text):
        yield "mojibake", traced.sub(_WORDS, _decoded)
    yield "letters", traced.sub(_LETTERS, lambda found: found[0].translate(LIGATURES).translate(WIDTH_MAP))
    if not unicodedata.is_normalized("NFC", traced.text):
        yield "composed", traced.sub(_composable(traced.text), lambda found: unicodedata.normalize("NFC", found[0]))
    yield "invisible", traced.sub(_NOTHING, lambda _: "")
    yield "line ends", traced.sub(_BREAKS, lambda _: "\n")
    yield "spaces", traced.sub(_SPACES, lambda _: " ")
    yield "hyphenation", traced.sub(_HYPHENATED, _joining(traced.text))
    if strip_citations:
        yield "citations", traced.sub(CITATION, lambda _: "")


def _whole_character(found: re.Match[str]) -> str:
    """Halves that a careless program left apart; a half alone is no character."""
    return found[0].encode("utf-16", "surrogatepass").decode("utf-16") if len(found[0]) == 2 else "\ufffd"


def _decoded(found: re.Match[str]) -> str:
    return found[0] if found[0].isascii() else ftfy.fix_encoding(found[0])


def _composable(text: str) -> re.Pattern[str]:
    """A letter with its marks, unless the text has letters that compose with other letters."""
    marks = "".join(sorted({each for each in text if unicodedata.combining(each)}))
    alone = re.compile(f"[^{re.escape(marks)}][{re.escape(marks)}]*" if marks else ".", re.DOTALL)
    apart = "".join(unicodedata.normalize("NFC", each[0]) for each in alone.finditer(text))
    return alone if unicodedata.is_normalized("NFC", apart) else _COMPOSED


def _joining(text: str) -> Edit:
    """Joins a word over the end of a line where the text has it joined elsewhere, and nowhere with its hyphen."""
    if "-" not in text:
        return lambda found: found[0]
    words = {word.lower() for word in re.findall(r"[A-Za-z]{4,80}", text)}
    hyphenated = {word.lower() for word in re.findall(r"[A-Za-z]{2,40}-[a-z]{2,40}", text)}

    def edit(found: re.Match[str]) -> str:
        joined, apart = (found[1] + found[2]).lower(), f"{found[1]}-{found[2]}".lower()
        return found[1] + found[2] if joined in words and apart not in hyphenated else found[0]

    return edit
