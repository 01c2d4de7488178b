"""The listening sockets: one for each model that may be at zero."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable

from aiohttp import web

from forge_operator.activator.table import Table

logger = logging.getLogger(__name__)

_HEAD_SECONDS = 15.0  # for a connection to bring the head of a request
_TRY_AGAIN = 10.0  # seconds after a port could not be opened
_BACKLOG = 1024

Handle = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


@contextlib.asynccontextmanager
async def opened(table: Table, handle: Handle, drain_seconds: float) -> AsyncIterator[None]:
    """Listen on the table's ports, whatever they are at any time. At the end no new connections are taken, and what has
    begun is finished, as far as `drain_seconds` allow.
    """
    # A client that leaves cancels what is done for it, up to the pod.
    server = web.Server(handle, handler_cancellation=True, access_log=None, keepalive_timeout=_HEAD_SECONDS)
    runner = web.ServerRunner(server, shutdown_timeout=drain_seconds)
    await runner.setup()
    following = asyncio.create_task(_follow(table, runner))
    try:
        yield
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
        await runner.cleanup()


async def _follow(table: Table, runner: web.ServerRunner) -> None:
    sites: dict[int, web.TCPSite] = {}
    while True:
        table.ports_changed.clear()
        wanted = table.ports()
        for port in sites.keys() - wanted:
            await sites.pop(port).stop()
        for port in wanted - sites.keys():
            site = web.TCPSite(runner, port=port, backlog=_BACKLOG)
            try:
                await site.start()
            except OSError as error:
                logger.error("port %d cannot be opened: %s", port, error)
                await site.stop()
            else:
                sites[port] = site
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(None if sites.keys() == wanted else _TRY_AGAIN):
                await table.ports_changed.wait()
