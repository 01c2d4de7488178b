"""A pod's answer on its way to the client: part by part, as it comes."""

import asyncio

import aiohttp
from aiohttp import web

from forge_operator.activator.incoming import passed_on

_STALLED = 60.0  # seconds for which a client may take nothing of its answer


async def relay(request: web.BaseRequest, answer: aiohttp.ClientResponse) -> tuple[web.StreamResponse, str]:
    """What was written, and how it ended: answered, or broken by the pod or by a client that took nothing any more.

    What breaks in the middle is torn off, so that the client does not take it for the whole.
    """
    response = web.StreamResponse(status=answer.status, reason=answer.reason, headers=passed_on(answer.headers))
    response.force_close()  # the client's next connection may reach a pod without us
    if "Content-Length" not in response.headers and request.version >= aiohttp.HttpVersion11:
        response.enable_chunked_encoding()
    await response.prepare(request)
    try:
        while part := await answer.content.readany():
            await _write(response, part)
    except (_Stalled, aiohttp.ClientPayloadError, aiohttp.ServerDisconnectedError, aiohttp.ClientOSError):
        if request.transport is not None:
            request.transport.abort()
        return response, "broken"
    await response.write_eof()
    return response, "answered"


class _Stalled(Exception):
    """The client takes nothing of its answer."""


async def _write(response: web.StreamResponse, part: bytes) -> None:
    try:
        async with asyncio.timeout(_STALLED):
            await response.write(part)
    except TimeoutError as error:
        raise _Stalled from error
