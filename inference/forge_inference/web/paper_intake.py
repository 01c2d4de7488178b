"""Papers as they are sent, plain text, JATS, LaTeX or PDF: a text whose places are told, and what rules find there."""

import asyncio

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError

from forge_inference.science.papers import jats, rules
from forge_inference.science.papers.latex import paper as latex
from forge_inference.science.papers.pdf import reading as pdf
from forge_inference.science.papers.rules import Rules, Wish
from forge_inference.science.papers.source import Source, Unreadable
from forge_inference.science.text.intake import LONGEST_TEXT, refused
from forge_inference.web.errors import UnreadablePaper
from forge_inference.web.paper_schemas import Analyze

_AT_ONCE = 2  # processes that read a paper; others wait


async def from_pdf(request: Request) -> Analyze:
    """The body is a PDF, and the address has the other fields."""
    query = request.query_params
    given = {name: query.getlist(name) if len(query.getlist(name)) > 1 else query[name] for name in query}
    try:
        return Analyze.model_validate({**given, "pdf_base64": await request.body()})
    except ValidationError as error:
        raise RequestValidationError(error.errors()) from error


class Intake:
    """Reads what was sent. Raises UnreadablePaper, which names the field."""

    def __init__(self) -> None:
        self._papers = asyncio.Semaphore(_AT_ONCE)

    async def read(self, body: Analyze) -> Rules:
        field = next(name for name in ("text", "jats_xml", "latex", "pdf_base64") if getattr(body, name) is not None)
        try:
            if body.pdf_base64 is not None:
                async with self._papers:
                    source = await pdf.read(body.pdf_base64)
            else:
                source = await asyncio.to_thread(_source, body)
            await asyncio.to_thread(_check, source)
            async with self._papers:
                return await rules.read(source, Wish(body.analyses, body.offset_unit, body.strip_citations))
        except Unreadable as error:
            raise UnreadablePaper(field, error.code, str(error)) from error


def _source(body: Analyze) -> Source:
    if body.latex is not None:
        return latex.read(body.latex)
    if body.jats_xml is not None:
        return Source("jats_xml", jats.text_of(body.jats_xml))
    return Source("text", body.text or "")


def _check(source: Source) -> None:
    text = source.characters
    if len(text) > LONGEST_TEXT:
        raise Unreadable("too_long", f"its text has more than {LONGEST_TEXT} characters: send a part of it")
    if why := refused(text):
        raise Unreadable("no_prose", why)
