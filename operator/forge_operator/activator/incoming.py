"""A request, read whole before anything is done for it: so it can be sent late, and to another pod than the first."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from aiohttp import web
from multidict import CIMultiDict, CIMultiDictProxy

from forge_operator.activator.refusals import BodyTooLarge, BodyTooSlow, InvalidRequest

BODY_LIMIT = 2 * 2**20  # bytes; the model server's own limit, compared in tests/contract
_BODY_SECONDS = 30.0

# Of one connection, not of the request (RFC 9110, 7.6.1).
_OF_THE_CONNECTION = {
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
}


@dataclass(frozen=True, slots=True)
class Incoming:
    """What is to be asked of a pod."""

    method: str
    path: str  # with the query, as it came
    headers: CIMultiDict[str]
    body: bytes


async def read(request: web.BaseRequest, keep: Callable[[int], None]) -> Incoming:
    """Raises Refused, and what `keep` raises; it is told of each part of the body."""
    if not request.raw_path.startswith("/"):
        raise InvalidRequest("The request's target must be a path.")
    headers = passed_on(request.headers)
    headers.popall("Expect", None)
    headers.popall("Content-Length", None)  # it is known anew, whatever the coding was
    return Incoming(request.method, request.raw_path, headers, await _body(request, keep))


def passed_on(headers: CIMultiDictProxy[str]) -> CIMultiDict[str]:
    """The headers that are for the other end."""
    named = {word.strip().lower() for value in headers.getall("Connection", []) for word in value.split(",")}
    dropped = _OF_THE_CONNECTION | named
    return CIMultiDict((name, value) for name, value in headers.items() if name.lower() not in dropped)


async def _body(request: web.BaseRequest, keep: Callable[[int], None]) -> bytes:
    _must_fit(request.content_length or 0)
    if request.headers.get("Expect", "").lower() == "100-continue":
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0  # it is no part of the answer
    content = bytearray()
    try:
        async with asyncio.timeout(_BODY_SECONDS):
            async for part in request.content.iter_any():
                _must_fit(len(content) + len(part))
                keep(len(part))
                content += part
    except TimeoutError as error:
        raise BodyTooSlow(f"The body was not here after {_BODY_SECONDS:g} s.") from error
    return bytes(content)


def _must_fit(length: int) -> None:
    if length > BODY_LIMIT:
        raise BodyTooLarge(f"A body may have {BODY_LIMIT} bytes at most.")
