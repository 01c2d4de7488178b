"""PDFs as text, read by a process of its own; what is no paper ends it."""

import asyncio
import time
import zlib

import pytest

from forge_inference.science.papers.paper import Paper
from forge_inference.science.papers.pdf.reading import read
from forge_inference.science.papers.source import Source, Unreadable
from forge_inference.science.papers.statistics import recomputed
from tests.science.papers.corpus import FOLDER
from tests.support.pdfs import Word, a_file, a_pdf, encrypted, lines, packed, set_in_pages, stream

MOUSE = (FOLDER / "mouse-colitis.txt").read_text()
_SAID = ["We counted cells in the blood of mice, and", "again in their bone marrow. None had died."]


def _text(source: Source) -> str:
    assert isinstance(source.text, str)
    return source.text


async def test_pages_follow_each_other_and_running_heads_and_numbers_are_left_out_and_told() -> None:
    source = await read(set_in_pages(MOUSE, head="J. Test Results 12, 2026"))
    heads = [(each.why, each.said, each.pages) for each in source.left_out]
    pages = tuple(range(1, len(source.page_starts) + 1))
    assert heads == [("repeated_line", "J. Test Results 12, 2026", pages), ("repeated_line", "1", pages)]
    assert _text(source).split() == MOUSE.split()
    paper = Paper(source.text, source.page_starts)
    quotes = [paper.quoted(sentence.span) for sentence in paper.sentences]
    assert all(_text(source)[each.start : each.end] == each.quote for each in quotes)
    assert sorted({each.page for each in quotes if each.page}) == list(pages)
    assert {"abstract", "methods", "results", "discussion"} <= {section.kind for section in paper.sections}
    assert len(recomputed(paper.folded)) == len(recomputed(Paper(MOUSE).folded)) > 0


async def test_words_over_the_ends_of_lines_and_pages_are_joined() -> None:
    said = (
        ["Randomi-", "sation was done; randomisation helps. It is haemo-"],
        ["globin, and haemoglobin is red in every mouse."],
    )
    source = await read(a_pdf([lines(page) for page in said]))
    assert "Randomisation was done" in Paper(source.text, source.page_starts).text
    assert "It is haemoglobin" in Paper(source.text, source.page_starts).text


async def test_raised_and_lowered_digits_keep_their_meaning() -> None:
    line = [Word(72, 700, "We counted 10")]
    for up, size, said in [(3.6, 7, "5"), (0, 10, " cells in CO"), (-2, 7, "2"), (0, 10, " of mice.")]:
        line.append(Word(line[-1].end, 700 + up, said, size))
    assert _text(await read(a_pdf([[*line, *lines(_SAID, top=600)]]))).startswith(
        "We counted 10⁵ cells in CO₂ of mice.\n"
    )


async def test_two_columns_are_read_one_after_the_other() -> None:
    left = lines(["Mice were bred in the house and", "fed on demand. They were"])
    right = lines(["weighed each day. None", "died before the end of it."], x=320)
    head = lines(["On the weight of mice that are bred in houses"], top=770, size=14)
    assert "They were\nweighed each day." in _text(await read(a_pdf([[*head, *left, *right]])))


async def test_a_page_without_text_is_told() -> None:
    source = await read(a_pdf([lines(_SAID), [], lines(_SAID)]))
    assert [(each.why, each.pages) for each in source.left_out] == [("page_without_text", (2,))]


def drawing(contents: bytes, *more: bytes, resources: bytes = b"", pages: int = 1) -> bytes:
    kids = b"3 0 R " * pages
    page = b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 9 9] /Resources << %s >> /Contents 4 0 R >>" % resources
    tree = b"<< /Type /Pages /Kids [%s] /Count %d >>" % (kids, pages)
    return a_file([b"<< /Type /Catalog /Pages 2 0 R >>", tree, page, contents, *more])


def _gigabyte(filters: int) -> bytes:
    packing = zlib.compressobj(9)
    once = b"".join(packing.compress(b"0 0 m " * 170_000) for _ in range(300)) + packing.flush()
    content = zlib.compress(once, 9) if filters == 2 else once
    return stream(content, b"/Filter [%s]" % (b"/FlateDecode " * filters))


def _forms() -> bytes:
    """Each draws the next one ten times."""
    forms = [
        stream(
            b"/F Do " * 10,
            b"/Type /XObject /Subtype /Form /BBox [0 0 1 1] /Resources << /XObject << /F %d 0 R >> >>" % n,
        )
        for n in range(6, 26)
    ]
    return drawing(stream(b"/F Do"), *forms, resources=b"/XObject << /F 5 0 R >>")


_ROOT = b"<< /Pages 2 0 R >>"
_HOSTILE = {
    "html": ("not_a_pdf", lambda: b"<html>" + b"x" * 5000),
    "empty": ("not_a_pdf", lambda: b""),
    "truncated": ("damaged_pdf", lambda: set_in_pages(MOUSE)[:-500]),
    "garbage": ("damaged_pdf", lambda: b"%PDF-1.4\n" + bytes(range(256)) * 10_000 + b"%%EOF"),
    "no catalogue": ("damaged_pdf", lambda: a_file([b"[1 2 3]"])),
    "pages in a ring": ("damaged_pdf", lambda: a_file([_ROOT, b"<< /Type /Pages /Kids [2 0 R] /Count 1 >>"])),
    "password": ("encrypted_pdf", lambda: encrypted(set_in_pages(MOUSE), "secret")),
    "scanned": ("no_text_layer", lambda: a_pdf([[]] * 5)),
    "scanned and stamped": ("no_text_layer", lambda: a_pdf([lines(["Downloaded today"])] * 5)),
    "no pages": ("no_text_layer", lambda: a_file([_ROOT, b"<< /Type /Pages /Kids [] /Count 2000000000 >>"])),
    "flate bomb": ("pdf_too_large", lambda: drawing(_gigabyte(1))),
    "flate in flate": ("pdf_too_large", lambda: drawing(_gigabyte(2))),
    "bomb on every page": ("pdf_too_large", lambda: drawing(packed(b"0 0 m " * 900_000), pages=300)),
    "many pages": ("pdf_too_large", lambda: drawing(packed(b" "), pages=5000)),
    "forms in forms": ("pdf_too_slow", _forms),
    "arrays in arrays": ("no_text_layer", lambda: drawing(packed(b"[" * 100_000))),
}  # fmt: skip


@pytest.mark.parametrize("name", _HOSTILE)
async def test_what_is_no_paper_is_refused_by_a_word_for_programs(name: str) -> None:
    code, make = _HOSTILE[name]
    content = make()
    start = time.monotonic()
    with pytest.raises(Unreadable) as refusal:
        await read(content)
    assert refusal.value.code == code, str(refusal.value)
    # Two seconds on a machine that has a core for it; on a busy one, what counts is that it ends.
    assert time.monotonic() - start < 60


async def test_with_a_password_for_changes_alone_it_is_read() -> None:
    assert "Materials and Methods" in _text(await read(encrypted(set_in_pages(MOUSE), "")))


async def test_text_beyond_a_papers_is_refused() -> None:
    with pytest.raises(Unreadable, match="400000 characters"):
        await read(set_in_pages(MOUSE * 80))


async def test_a_reader_that_is_not_waited_for_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    made = list[asyncio.subprocess.Process]()
    create, begun = asyncio.create_subprocess_exec, asyncio.Event()

    async def watched(*words: str, **options: object) -> asyncio.subprocess.Process:
        made.append(await create(*words, **options))  # type: ignore[arg-type]
        begun.set()
        return made[-1]

    monkeypatch.setattr(asyncio, "create_subprocess_exec", watched)
    task = asyncio.create_task(read(_forms()))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert made[0].returncode is not None
