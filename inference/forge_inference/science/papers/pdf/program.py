"""Reads a PDF from its input and writes its pages to its output. `reading` runs it, and the kernel ends it.

A PDF may unpack to a thousand times its size, or keep a reader busy for ever. So memory is limited for the whole
process, sizes for each page, and the time grows with the file and with the text that was found: honest papers need a
fiftieth of it.
"""

import json
import logging
import signal
import sys
from dataclasses import asdict
from io import BytesIO
from typing import Any

import pypdf
from pypdf.errors import DependencyError, LimitReachedError, PyPdfError

from forge_inference.science.papers.pdf.pages import PageText, without_repeated
from forge_inference.science.papers.process import limit
from forge_inference.science.papers.source import LeftOut, Unreadable
from forge_inference.science.text.intake import LONGEST_TEXT

MOST_PAGES = 300
_LARGEST_PAGE = 4 * 2**20  # bytes of what a page draws
_LARGEST_STREAM = 16 * 2**20  # bytes of anything that unpacks
_MOST_LARGE_PAGES = 5  # more are no paper
_MEMORY = 512 * 2**20  # bytes of address space
_SECONDS, _SECONDS_PER_BYTE, _SECONDS_PER_CHARACTER = 1.0, 1 / 2**22, 1 / 1500  # of CPU, from when it is opened
_MOST_SECONDS = 40
_LETTERS = 20  # on a page, on average; fewer are marks on scanned pages


def main() -> int:
    """Exits with 0 when it could tell something, if only what is wrong."""
    limit(_MEMORY, _MOST_SECONDS)
    logging.disable()  # pypdf tells of each oddity
    content = sys.stdin.buffer.read()
    try:
        told = _read(content)
    except Unreadable as error:
        told = {"code": error.code, "why": str(error)}
    except MemoryError:
        told = {"code": "pdf_too_large", "why": f"reading it takes more than {_MEMORY >> 20} MiB of memory"}
    json.dump(told, sys.stdout)
    return 0


def _read(content: bytes) -> dict[str, Any]:
    pypdf.overwrite_configuration(
        zlib_maximum_output_length=_LARGEST_STREAM,
        lzw_maximum_output_length=_LARGEST_STREAM,
        run_length_maximum_output_length=_LARGEST_STREAM,
        array_based_stream_maximum_output_length=_LARGEST_STREAM,
        disable_legacy_handling=True,
    )
    # Nobody handles its signal: the kernel ends this process.
    signal.setitimer(signal.ITIMER_PROF, _SECONDS + len(content) * _SECONDS_PER_BYTE)
    try:
        reader = pypdf.PdfReader(BytesIO(content))
        if reader.is_encrypted and not reader.decrypt(""):
            raise Unreadable("encrypted_pdf", "it opens with a password only: save a copy without one")
        count = len(reader.pages)
    except (DependencyError, NotImplementedError) as error:
        raise Unreadable("encrypted_pdf", "it is encrypted: save a copy without restrictions") from error
    except LimitReachedError as error:
        raise Unreadable("pdf_too_large", f"a part of it unpacks to more than {_LARGEST_STREAM >> 20} MiB") from error
    except (PyPdfError, *_DAMAGES) as error:
        raise Unreadable("damaged_pdf", f"its structure cannot be read: {error!s:.200}") from error
    if count > MOST_PAGES:
        raise Unreadable("pdf_too_large", f"it has {count} pages, and {MOST_PAGES} are read: send a part of it")
    pages, left_out, letters = list[list[str]](), list[LeftOut](), 0
    for number in range(1, count + 1):
        lines: list[str] = []
        try:
            lines = _page(reader.pages[number - 1])
        except (_PageTooLarge, LimitReachedError):
            left_out.append(LeftOut("page_too_large", "", (number,)))
            if len(left_out) > _MOST_LARGE_PAGES:
                break
        except (PyPdfError, *_DAMAGES):
            left_out.append(LeftOut("page_damaged", "", (number,)))
        pages.append(lines)
        letters += sum(map(len, lines))
        if letters > LONGEST_TEXT:
            raise Unreadable("pdf_too_large", f"its text has more than {LONGEST_TEXT} characters: send a part of it")
        more = sum(map(len, lines)) * _SECONDS_PER_CHARACTER
        signal.setitimer(signal.ITIMER_PROF, signal.getitimer(signal.ITIMER_PROF)[0] + more)
    return _told(pages, left_out)


class _PageTooLarge(Exception):
    pass


# What a reader of broken objects may stumble over, besides what it says itself.
_DAMAGES = (
    ArithmeticError, AssertionError, AttributeError, EOFError, LookupError, OSError, RecursionError, TypeError,
    ValueError,
)  # fmt: skip


def _page(page: Any) -> list[str]:
    contents = page.get("/Contents")
    contents = contents.get_object() if contents is not None else []
    size = 0
    for each in contents if isinstance(contents, list) else [contents]:
        stream = each.get_object()
        size += len(stream.get_data()) if hasattr(stream, "get_data") else 0
        if size > _LARGEST_PAGE:
            raise _PageTooLarge
    text = PageText()
    page.extract_text(visitor_text=text.visit)
    return text.lines


def _told(pages: list[list[str]], left_out: list[LeftOut]) -> dict[str, Any]:
    kept, repeated = without_repeated(pages)
    letters = sum(letter.isalpha() for lines in kept for line in lines for letter in line)
    if letters < _LETTERS * max(1, len(pages)):
        if any(each.why == "page_too_large" for each in left_out):
            raise Unreadable("pdf_too_large", f"its pages draw more than {_LARGEST_PAGE >> 20} MiB each: it is no text")
        if any(each.why == "page_damaged" for each in left_out):
            raise Unreadable("damaged_pdf", "its pages cannot be read: save it again from a viewer")
        why = (
            f"its {len(pages)} pages hold {letters} letters of text: they are images; run text recognition (OCR) first"
        )
        raise Unreadable("no_text_layer", why)
    left_out += repeated
    empty = tuple(number for number, lines in enumerate(pages, 1) if not lines)
    told = {number for each in left_out for number in each.pages if each.why != "repeated_line"}
    if empty := tuple(number for number in empty if number not in told):
        left_out.append(LeftOut("page_without_text", "", empty))
    texts = ["".join(f"{line}\n" for line in lines) for lines in kept]
    whole = [each.encode("utf-16", "surrogatepass").decode("utf-16", "replace") for each in texts]
    return {"pages": whole, "left_out": [asdict(each) for each in left_out]}


if __name__ == "__main__":
    sys.exit(main())
