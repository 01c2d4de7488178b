"""Around every request: its id, its size, its model, its time."""

import json
import logging
import time
from typing import Any
from uuid import uuid4

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from forge_inference.engine.contract import Exchangeable
from forge_inference.telemetry.metrics import Metrics
from forge_inference.web.errors import body

logger = logging.getLogger(__name__)

BODY_LIMIT = 2 * 2**20  # bytes
PDF_LIMIT = 16 * 2**20
_MOST_PDFS = 8  # sent or read at once, so that their bodies fit into memory
_PDF_SECONDS = 10  # after which a client may try again


def media_type(scope: Scope) -> str:
    """What the body is said to be."""
    said: bytes = dict(scope["headers"]).get(b"content-type", b"")
    return said.decode("latin-1").partition(";")[0].strip().lower()


class Guard:
    """Reads the whole body, up to the limit, before anything parses it; counts and logs what was answered.

    From then on one model is asked, whatever the request asks of it, although another one may take its place.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics, engine: Exchangeable) -> None:
        self._app, self._metrics, self._engine = app, metrics, engine
        self._pdfs = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        start, status = time.monotonic(), 499  # 499: the client left before the answer began
        name = dict(scope["headers"]).get(b"x-request-id", b"").decode("latin-1")[:64] or uuid4().hex
        scope.setdefault("state", {})["request_id"] = name

        async def named(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", []), (b"x-request-id", name.encode("latin-1"))]
            await send(message)

        pdf = int(media_type(scope) == "application/pdf")
        self._pdfs += pdf
        try:
            with self._metrics.working(scope["method"]):
                if pdf and self._pdfs > _MOST_PDFS:
                    await _refuse_pdf(named)
                    return
                content = await _read(receive, PDF_LIMIT if pdf else BODY_LIMIT)
                if content is None:
                    await _refuse(named, PDF_LIMIT if pdf else BODY_LIMIT)
                else:
                    with self._engine.held():
                        await self._app(scope, _replay(content, receive), named)
        finally:
            self._pdfs -= pdf
            route = getattr(scope.get("route"), "path", "none")
            seconds = time.monotonic() - start
            self._metrics.answered(route, status, seconds)
            logger.info("%s %s %d %.0f ms %s", scope["method"], route, status, seconds * 1000, name)


async def _read(receive: Receive, limit: int) -> bytes | None:
    """The body; None when it is larger than the limit. What is too large is read no further."""
    content = bytearray()
    while True:
        message = await receive()
        content += message.get("body", b"")
        if len(content) > limit:
            return None
        if not message.get("more_body", False):
            return bytes(content)


def _replay(content: bytes, receive: Receive) -> Receive:
    told = False

    async def again() -> Message:
        nonlocal told
        if told:
            return await receive()
        told = True
        return {"type": "http.request", "body": content, "more_body": False}

    return again


async def _refuse(send: Send, limit: int) -> None:
    hint = "" if limit == PDF_LIMIT else f" A PDF that is sent as application/pdf may have {PDF_LIMIT}."
    await _answer(send, 413, body("BodyTooLarge", f"A body may have {limit} bytes at most.{hint}"))


async def _refuse_pdf(send: Send) -> None:
    said = body("Overloaded", f"{_MOST_PDFS} PDFs are being read, which is all that there is room for; try again.")
    await _answer(send, 429, said, (b"retry-after", str(_PDF_SECONDS).encode()))


async def _answer(send: Send, status: int, said: dict[str, Any], *more: tuple[bytes, bytes]) -> None:
    content = json.dumps(said).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(content)).encode()), *more]
    await send({"type": "http.response.start", "status": status, "headers": [*headers, (b"connection", b"close")]})
    await send({"type": "http.response.body", "body": content})
