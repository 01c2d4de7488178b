"""Connections to model pods: one for each request, so that what was sent, and whether, is never in doubt."""

import socket
from collections.abc import Callable
from io import BytesIO
from typing import Any, Self

import aiohttp
from yarl import URL

from forge_operator.activator.incoming import Incoming
from forge_operator.activator.refusals import PodFailed
from forge_operator.activator.table import Address
from forge_operator.cluster.client import in_url

_CONNECT_SECONDS = 5.0
# A node that died says nothing: on a connection that is silent, ask whether the other end is still there.
_KEEPALIVE = {"TCP_KEEPIDLE": 30, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 3}
_OURS = ("User-Agent", "Accept", "Accept-Encoding", "Content-Type")  # not to be added where the client said nothing


class NotConnected(Exception):
    """The pod takes no connection. Nothing was sent, so another one may be asked."""


class Pods:
    """A context manager; closes what is open at its end."""

    def __init__(self) -> None:
        connector = aiohttp.TCPConnector(limit=0, force_close=True, socket_factory=_socket)
        self._session = aiohttp.ClientSession(
            connector=connector,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS),
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            skip_auto_headers=_OURS,
            trace_configs=[_telling_when_connected()],
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def ask(self, address: Address, incoming: Incoming, connected: Callable[[], None]) -> aiohttp.ClientResponse:
        """The head of the answer; its body comes as the pod writes it. `connected` is called once the pod took it.

        Raises NotConnected and PodFailed.
        """
        host, port = address
        url = URL(f"http://{in_url(host)}:{port}{incoming.path}", encoded=True)
        try:
            return await self._session.request(
                incoming.method,
                url,
                headers=incoming.headers,
                data=BytesIO(incoming.body) if incoming.body else None,
                allow_redirects=False,
                trace_request_ctx=connected,
            )
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as error:
            raise NotConnected(str(error)) from error
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise PodFailed(
                f"The pod ended before it answered ({type(error).__name__}). It may have worked on the request, "
                "so it was not sent to another one; send it again if that does no harm."
            ) from error


def _socket(info: tuple[Any, ...]) -> socket.socket:
    family, kind, protocol, *_ = info
    found = socket.socket(family, kind, protocol)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in _KEEPALIVE.items():
        found.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
    return found


def _telling_when_connected() -> aiohttp.TraceConfig:
    async def tell(_: aiohttp.ClientSession, context: Any, __: object) -> None:
        context.trace_request_ctx()

    config = aiohttp.TraceConfig()
    config.on_connection_create_end.append(tell)
    return config
