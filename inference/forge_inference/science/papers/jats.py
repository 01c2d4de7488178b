"""Plain text with headings from JATS, as PubMed Central has it. Reads no entity and no other file.

Superscripts keep their meaning: 10<sup>5</sup> is 10⁵ and not 105, and the mark of a reference is a [1].
"""

import re
from xml.parsers import expat

from forge_inference.science.papers.source import Unreadable
from forge_inference.science.text.scripts import small

_DEEPEST, _LONGEST = 100, 1_000_000
_SKIPPED = {"journal-meta", "contrib-group", "aff", "author-notes", "permissions", "pub-date", "history", "kwd-group"}
_SKIPPED |= {
    "article-id",
    "article-categories",
    "volume",
    "issue",
    "elocation-id",
    "fpage",
    "lpage",
    "counts",
    "self-uri",
}
_SKIPPED |= {
    "ref-list",
    "tex-math",
    "mml:math",
    "graphic",
    "inline-graphic",
    "object-id",
    "related-article",
    "custom-meta-group",
}
_BLOCKS = {
    "p",
    "title",
    "article-title",
    "sec",
    "abstract",
    "label",
    "caption",
    "list-item",
    "tr",
    "table-wrap",
    "fig",
    "body",
    "back",
}
_BLOCKS |= {"fn", "ack", "app", "disp-quote", "def-item", "notes"}
_HEADED = {"abstract": "Abstract", "ack": "Acknowledgements", "ref-list": "References"}


class _Reader:
    def __init__(self) -> None:
        self.pieces: list[str] = []
        self.length = 0
        self.path: list[str] = []
        self.skipping = 0  # how many open elements are skipped
        self.raised: list[str] | None = None
        self.in_reference = 0
        self.root = ""

    def add(self, text: str) -> None:
        if self.raised is not None:
            self.raised.append(text)
            return
        self.length += len(text)
        if self.length > _LONGEST:
            raise Unreadable("bad_jats", f"its text has more than {_LONGEST} characters")
        self.pieces.append(text)

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self.root = self.root or name
        self.path.append(name)
        if len(self.path) > _DEEPEST:
            raise Unreadable("bad_jats", f"its elements are nested more than {_DEEPEST} deep")
        if self.skipping or name in _SKIPPED:
            self.skipping += 1
            return
        if name in _BLOCKS:
            self.add("\n" if name in {"tr", "label", "caption"} else "\n\n")
        if name in _HEADED:
            self.add(f"{_HEADED[name]}\n\n")
        if name in {"td", "th"}:
            self.add("| ")
        if name == "xref" and attributes.get("ref-type") == "bibr":
            self.in_reference += 1
        if name in {"sup", "sub"} and self.raised is None:
            self.raised = []

    def end(self, name: str) -> None:
        self.path.pop()
        if self.skipping:
            self.skipping -= 1
            return
        if name in {"sup", "sub"} and self.raised is not None and not {"sup", "sub"} & set(self.path):
            said, self.raised = "".join(self.raised), None
            self.add(small(said, "raised" if name == "sup" else "lowered"))
        if name == "xref" and self.in_reference:
            self.in_reference -= 1
        if name in {"td", "th"}:
            self.add(" ")
        if name == "tr":
            self.add("|")
        if name in _BLOCKS - {"tr", "label"}:
            self.add("\n\n")

    def text(self, data: str) -> None:
        if not self.skipping:
            data = re.sub(r"\s+", " ", data)
            self.add(f"[{data}]" if self.in_reference and data.strip() and self.raised is not None else data)


def text_of(xml: str) -> str:
    """The paper's text. Raises Unreadable."""
    reader, parser = _Reader(), expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler, parser.EndElementHandler = reader.start, reader.end
    parser.CharacterDataHandler = reader.text

    def entity(name: str, *_: object) -> None:
        raise Unreadable("bad_jats", f"it declares the entity {name!r}: entities are not read")

    parser.EntityDeclHandler = entity
    try:
        parser.Parse(xml.encode("utf-8", "replace"), True)
    except expat.ExpatError as error:
        raise Unreadable("bad_jats", f"it is no XML: {error}") from error
    if reader.root != "article":
        raise Unreadable("bad_jats", f"its root is {reader.root!r} instead of 'article'")
    lines = "".join(reader.pieces).split("\n")
    text = "\n".join(" ".join(line.split()) for line in lines)
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"
