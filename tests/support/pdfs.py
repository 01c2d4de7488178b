"""PDFs as bytes: pages of words at places, in a font that has any letter."""

import textwrap
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from io import BytesIO

WIDE = 0.5  # of the size: every letter
_HEAD = b"%PDF-1.5\n%\xe2\xe3\xcf\xd3\n"


@dataclass(frozen=True)
class Word:
    """Text from a place on, in points from the lower left corner."""

    x: float
    y: float
    text: str
    size: float = 10

    @property
    def end(self) -> float:
        return self.x + WIDE * self.size * len(self.text)


def a_file(objects: Sequence[bytes], trailer: bytes = b"") -> bytes:
    """Objects from 1 on, of which the first is the catalogue; with its table and its end."""
    content, places = bytearray(_HEAD), list[int]()
    for number, each in enumerate(objects, 1):
        places.append(len(content))
        content += b"%d 0 obj\n%s\nendobj\n" % (number, each)
    table = len(content)
    content += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    content += b"".join(b"%010d 00000 n \n" % place for place in places)
    content += b"trailer\n<< /Size %d /Root 1 0 R %s >>\n" % (len(objects) + 1, trailer)
    return bytes(content + b"startxref\n%d\n%%%%EOF\n" % table)


def stream(content: bytes, entries: bytes = b"") -> bytes:
    return b"<< /Length %d %s >>\nstream\n%s\nendstream" % (len(content), entries, content)


def packed(content: bytes) -> bytes:
    return stream(zlib.compress(content), b"/Filter /FlateDecode")


def a_pdf(pages: Iterable[Sequence[Word]], *more: bytes) -> bytes:
    """With a table that says which letter each code of its font is; `more` are objects that nothing needs."""
    pages = list(pages)
    letters = sorted({letter for words in pages for word in words for letter in word.text})
    assert len(letters) < 224, "one byte a letter"
    codes = {letter: 32 + number for number, letter in enumerate(letters)}
    kids = b" ".join(b"%d 0 R" % (5 + 2 * number) for number in range(len(pages)))
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [%s] /Count %d >>" % (kids, len(pages)),
        _font(len(letters)),
        packed(_letters(codes)),
    ]
    for number, words in enumerate(pages):
        objects += [_page(6 + 2 * number), packed(b"\n".join(_drawn(words, codes)))]
    return a_file([*objects, *more])


def _page(contents: int) -> bytes:
    return (
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Resources << /Font << /F1 3 0 R >> >>"
        b" /Contents %d 0 R >>" % contents
    )


def _font(letters: int) -> bytes:
    widths = b" ".join([b"%d" % (WIDE * 1000)] * letters)
    return (
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /FirstChar 32 /LastChar %d /Widths [%s]"
        b" /ToUnicode 4 0 R >>" % (31 + letters, widths)
    )


def _letters(codes: dict[str, int]) -> bytes:
    listed = list(codes.items())
    parts = [listed[at : at + 100] for at in range(0, len(listed), 100)]
    return b"\n".join(
        [
            b"/CIDInit /ProcSet findresource begin 12 dict begin begincmap /CMapName /F def /CMapType 2 def",
            b"1 begincodespacerange <00> <ff> endcodespacerange",
            *(
                b"%d beginbfchar\n%s\nendbfchar"
                % (
                    len(part),
                    b"\n".join(b"<%02x> <%s>" % (code, each.encode("utf-16-be").hex().encode()) for each, code in part),
                )
                for part in parts
            ),
            b"endcmap end end",
        ]
    )


def _drawn(words: Sequence[Word], codes: dict[str, int]) -> Iterable[bytes]:
    """Each word from where the last one began, as TeX and office programs draw them."""
    x = y = 0.0
    yield b"BT"
    for word in words:
        yield b"/F1 %.2f Tf %.2f %.2f Td" % (word.size, word.x - x, word.y - y)
        yield b"<%s> Tj" % bytes(codes[letter] for letter in word.text).hex().encode()
        x, y = word.x, word.y
    yield b"ET"


def lines(said: Iterable[str], x: float = 72, top: float = 740, size: float = 10) -> list[Word]:
    """One below the other; empty ones leave their room."""
    return [Word(x, top - 1.3 * size * number, line, size) for number, line in enumerate(said) if line.strip()]


def set_in_pages(text: str, head: str = "", width: int = 95, most: int = 52) -> bytes:
    """A text as a journal sets it: lines of `width` letters, a running head, the number of the page at its foot."""
    said = [
        line
        for paragraph in text.replace("\t", " | ").split("\n")
        for line in (
            [paragraph] if "|" in paragraph else textwrap.wrap(paragraph, width, break_on_hyphens=False) or [""]
        )
    ]
    pages = [said[at : at + most] for at in range(0, len(said), most)]
    return a_pdf(
        [
            *lines([head], top=770, size=8),
            *lines(page),
            *lines([str(number)], x=300, top=30, size=8),
        ]
        for number, page in enumerate(pages, 1)
    )


def encrypted(content: bytes, password: str) -> bytes:
    """With RC4, which needs no other package."""
    from pypdf import PdfReader, PdfWriter

    writer, out = PdfWriter(clone_from=PdfReader(BytesIO(content))), BytesIO()
    writer.encrypt(password, algorithm="RC4-128")
    writer.write(out)
    return out.getvalue()
