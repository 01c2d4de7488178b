"""The one way out: every connection of every source is opened here, to allowed hosts and addresses only.

Redirects are followed here too, and secrets are sent to nobody but the host they are meant for.
"""

import logging
import socket
import ssl
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError, LocationParseError, SSLError
from urllib3.response import BaseHTTPResponse
from urllib3.util import parse_url
from urllib3.util.connection import create_connection

from forge_inference import __version__
from forge_inference.sources.contract import Body
from forge_inference.sources.errors import SourceError, passes
from forge_inference.sources.policy import Policy

logger = logging.getLogger(__name__)

CHUNK = 2**18  # bytes read at once
_CONNECT, _SILENCE = 10.0, 30.0  # seconds: to connect, and between two arrivals of bytes
_REDIRECTS = {301, 302, 303, 307, 308}
_MOST_REDIRECTS = 5
_LONGEST_ANSWER = 64 * 2**20  # bytes of a listing or a manifest


class Connections:
    """Connections under a policy. `certificates`: files of authorities that are trusted besides the system's."""

    def __init__(self, policy: Policy, certificates: Sequence[Path] = ()) -> None:
        context = ssl.create_default_context()
        for path in certificates:
            try:
                context.load_verify_locations(cafile=path)
            except (OSError, ssl.SSLError) as error:
                raise SourceError("SourceInvalid", f"{path} is not a file of PEM certificates: {error}.") from error
        self.policy = policy
        self.pool: urllib3.PoolManager = _Pool(policy, context)

    def request(
        self, method: str, url: str, headers: Mapping[str, str] | None = None, secret: Mapping[str, str] | None = None
    ) -> BaseHTTPResponse:
        """An answer whose body is still to be read, after redirects to allowed hosts. Raises SourceError.

        `secret` headers go to the first host alone.
        """
        home = None
        for _ in range(_MOST_REDIRECTS + 1):
            url = self.policy.mirrored(url)
            here = parse_url(url)  # as the pool reads it
            origin = (here.scheme, here.host, here.port)
            home = home or origin
            sent = {"Accept-Encoding": "identity", **(headers or {}), **((secret or {}) if origin == home else {})}
            try:
                response = self.pool.urlopen(method, url, headers=sent, preload_content=False)
            except (HTTPError, OSError) as error:
                raise failure(error, url) from error
            except ValueError:  # whose words repeat the header, so they are left out
                raise SourceError(
                    "SourceInvalid",
                    f"{shown(url)} cannot be asked: a credential holds a line break or the like.",
                ) from None
            location = response.headers.get("Location")
            if response.status not in _REDIRECTS or not location:
                return response
            response.close()
            url = self._next(url, location)
        raise SourceError("SourceInvalid", f"{shown(url)}: more than {_MOST_REDIRECTS} redirects. Correct the URI.")

    def answer(self, response: BaseHTTPResponse, url: str) -> bytes:
        """The whole of a short answer. Raises SourceError."""
        try:
            found = response.read(_LONGEST_ANSWER + 1)
        except (HTTPError, OSError) as error:
            raise failure(error, url) from error
        finally:
            response.close()
        if len(found) > _LONGEST_ANSWER:
            raise SourceError("SourceInvalid", f"{shown(url)} answers with more than {_LONGEST_ANSWER} bytes.")
        return found

    def _next(self, url: str, location: str) -> str:
        target = urljoin(url, location)
        parts = urlsplit(target)
        if parts.scheme != "https" and not (parts.scheme == "http" == urlsplit(url).scheme):
            raise SourceError("SourceDenied", f"{shown(url)} redirects to {shown(target)}, which is not https.")
        self.policy.demand_host(
            urlsplit(self.policy.mirrored(target)).hostname or "", why=f", to which {shown(url)} redirects"
        )
        return target


@contextmanager
def body(response: BaseHTTPResponse, url: str, start: int) -> Iterator[Body]:
    """The bytes of a good answer (200, 206) to a request for those from `start` on."""
    try:
        if response.status == 206:
            first = response.headers.get("Content-Range", "").removeprefix("bytes ").partition("-")[0]
            if first != str(start):
                raise SourceError("SourceUnavailable", f"{shown(url)} answers with another range than asked for.")
        yield Body(start if response.status == 206 else 0, _chunks(response, url))
    finally:
        response.close()


def _chunks(response: BaseHTTPResponse, url: str) -> Iterator[bytes]:
    try:
        while chunk := response.read1(CHUNK, decode_content=False):
            yield chunk
    except (HTTPError, OSError) as error:
        raise failure(error, url) from error


def judge(response: BaseHTTPResponse, url: str, credentials: str) -> None:
    """Raises SourceError for an answer that is none. `credentials`: what to do where they are asked for."""
    status, place = response.status, shown(url)
    if status < 300:
        return
    response.close()
    if status in (401, 403):
        raise SourceError("SourceUnauthorized", f"{place} answers {status}. {credentials}")
    if status in (404, 410):
        raise SourceError("SourceNotFound", f"{place} does not exist ({status}). Correct the URI.")
    if passes(status):
        raise SourceError(
            "SourceUnavailable",
            f"{place} answers {status}. It is tried again; if it stays so, ask who runs it.",
            retry_after=wished(response.headers.get("Retry-After", "")),
        )
    raise SourceError("SourceInvalid", f"{place} answers {status}, which is no answer to a download. Correct the URI.")


def wished(after: str) -> float | None:
    """Seconds that a Retry-After asks for; dates are not worth a parser."""
    return float(after) if after.isdecimal() else None


def failure(error: Exception, url: str) -> SourceError:
    """A broken connection, in our words."""
    place = shown(url)
    if isinstance(error, LocationParseError):
        return SourceError("SourceInvalid", f"{place} is not a URL. Correct the URI.")
    if isinstance(error, SSLError):
        if "CERTIFICATE_VERIFY_FAILED" not in str(error):
            return SourceError("SourceUnavailable", f"{place}: no encrypted connection: {error}.")
        return SourceError(
            "SourceUnavailable",
            f"{place}: its certificate is not trusted. If it is signed by an authority of your own, put that one's"
            " certificate into the Secret as ca.crt, or ask the administrator to add it (--ca-file).",
            passing=False,
        )
    return SourceError("SourceUnavailable", f"{place} cannot be reached, or broke off: {error}.")


def shown(url: str) -> str:
    """A URL for messages: what may be a secret, the query of a signed URL, is left out."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    return f"{parts.scheme}://{host}{f':{parts.port}' if parts.port else ''}{parts.path}"


class _Pool(urllib3.PoolManager):
    """Also what minio is given: its requests pass here like all others."""

    def __init__(self, policy: Policy, context: ssl.SSLContext) -> None:
        super().__init__(
            headers={"User-Agent": f"scientificllm-forge/{__version__}"},
            ssl_context=context,
            retries=False,
            timeout=urllib3.Timeout(connect=_CONNECT, read=_SILENCE),
        )
        self._policy = policy
        self.pool_classes_by_scheme = _pools(policy)

    def urlopen(self, method: str, url: str, redirect: bool = True, **kw: Any) -> BaseHTTPResponse:  # type: ignore[override]
        return super().urlopen(method, url, redirect=False, **kw)

    def connection_from_host(
        self,
        host: str | None,
        port: int | None = None,
        scheme: str | None = "http",
        pool_kwargs: dict[str, Any] | None = None,
    ) -> urllib3.HTTPConnectionPool:
        # Here, rather than from the URL: two parsers may see two hosts in one URL, and this is the one that is used.
        self._policy.demand_host(host or "")
        return super().connection_from_host(host, port, scheme, pool_kwargs)


def _pools(policy: Policy) -> dict[str, type[urllib3.HTTPConnectionPool]]:
    class Plain(HTTPConnection):
        def _new_conn(self) -> socket.socket:
            return _connected(self, policy)

    class Secure(HTTPSConnection):
        def _new_conn(self) -> socket.socket:
            return _connected(self, policy)

    class PlainPool(urllib3.HTTPConnectionPool):
        ConnectionCls = Plain

    class SecurePool(urllib3.HTTPSConnectionPool):
        ConnectionCls = Secure

    return {"http": PlainPool, "https": SecurePool}


def _connected(connection: HTTPConnection, policy: Policy) -> socket.socket:
    """A socket to an address that was judged: the name is not looked up a second time, when it might lead elsewhere."""
    host, port = connection.host.strip("[]"), connection.port
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError as error:
        raise SourceError("SourceInvalid", f"{host} is no name of a host. Correct the URI.") from error
    except socket.gaierror as error:
        raise SourceError(
            "SourceUnavailable",
            f"The name {host} is not known here ({error.strerror}). Correct it, or ask the"
            " administrator whether this cluster may look up names outside.",
        ) from error
    addresses = [str(address[0]) for *_, address in found]
    for address in addresses:
        policy.demand_address(host, address)
    for last, address in enumerate(addresses, start=1 - len(addresses)):
        try:
            return create_connection(
                (address, port), connection.timeout, connection.source_address, connection.socket_options
            )
        except OSError as error:
            if not last:
                raise SourceError(
                    "SourceUnavailable",
                    f"{host}:{port} cannot be reached: {error}. Is it up, and may this pod reach it?",
                ) from error
    raise SourceError("SourceUnavailable", f"The name {host} has no address.")
