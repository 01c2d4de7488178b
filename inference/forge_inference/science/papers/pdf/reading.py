"""A paper's text from a PDF, read by a process that may be ended."""

import json
import logging
import signal
from itertools import accumulate

from forge_inference.science.papers.process import run
from forge_inference.science.papers.source import LeftOut, Source, Unreadable

LARGEST = 16 * 2**20  # bytes
_LONGEST = 90  # seconds on a busy machine; the process has less of the CPU
_PROGRAM = "forge_inference.science.papers.pdf.program"
_HEAD, _TAIL = 1024, 8192  # bytes in which a PDF says that it begins and ends

logger = logging.getLogger(__name__)


async def read(content: bytes) -> Source:
    """Its pages, one after the other; offsets count in that text. Raises Unreadable.

    Cancelled, it ends the process.
    """
    if b"%PDF-" not in content[:_HEAD]:
        raise Unreadable("not_a_pdf", "it does not begin with %PDF-: it is no PDF")
    if b"%%EOF" not in content[-_TAIL:]:
        raise Unreadable("damaged_pdf", "its end is missing: it was cut off on its way")
    try:
        ended = await run(_PROGRAM, content, _LONGEST)
    except TimeoutError as error:
        raise Unreadable("pdf_too_slow", f"reading it takes more than {_LONGEST} s") from error
    if ended.status == -signal.SIGKILL:
        raise Unreadable("pdf_too_large", "reading it takes more memory than there is")
    if ended.status in (-signal.SIGPROF, -signal.SIGXCPU):
        raise Unreadable("pdf_too_slow", "reading it takes far longer than its text is worth: save it again as PDF")
    if ended.status != 0:
        logger.error("A PDF ended its reader (%s): %s", ended.status, ended.error)
        raise Unreadable("damaged_pdf", "it cannot be read: save it again from a viewer")
    return _source(ended.output)


def _source(output: bytes) -> Source:
    told = json.loads(output)
    if "code" in told:
        raise Unreadable(told["code"], told["why"])
    pages: list[str] = told["pages"]
    left_out = tuple(LeftOut(each["why"], each["said"], tuple(each["pages"])) for each in told["left_out"])
    starts = (0, *accumulate(len(page) for page in pages))[: len(pages)]
    return Source("pdf", "".join(pages), tuple(starts), left_out)
