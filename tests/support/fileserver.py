"""A web server for downloads, with the faults that real ones have, and a count of what it sent."""

import hashlib
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

from tests.support.ports import listening


@dataclass(frozen=True)
class Request:
    """What a client asked. Header names are in lower case; `path` has no query."""

    method: str
    path: str
    query: str
    headers: dict[str, str]


@dataclass(frozen=True)
class Reply:
    """What a server answers. A `claimed` length is told instead of the true one."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    claimed: int | None = None


@dataclass
class FileServer:
    """Files by path, and how it misbehaves. `cuts`: after so many bytes the next bodies end, one each."""

    files: dict[str, bytes] = field(default_factory=dict)
    cuts: list[int] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)  # the next answers, instead of files
    redirects: dict[str, str] = field(default_factory=dict)
    login: str = ""  # the Authorization header that is wanted
    ranges: bool = True
    claimed: int | None = None
    pace: Callable[[], object] = lambda: None  # called before each piece of a body
    answer: Callable[[Request], Reply | None] = lambda _request: None  # asked first
    requests: list[Request] = field(default_factory=list)
    sent: int = 0  # bytes of bodies with status 200 or 206
    port: int = 0
    tls: bool = False

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"

    def reply(self, request: Request) -> Reply:
        """The whole answer, before faults of the connection."""
        if found := self.answer(request):
            return found
        if self.statuses:
            return Reply(self.statuses.pop(0))
        if self.login and request.headers.get("authorization") != self.login:
            return Reply(401)
        if request.path in self.redirects:
            return Reply(302, headers={"Location": self.redirects[request.path]})
        if request.path not in self.files:
            return Reply(404)
        return self.file(request, self.files[request.path])

    def file(self, request: Request, data: bytes) -> Reply:
        """A file or the part of it that is asked for."""
        etag = f'"{hashlib.md5(data, usedforsecurity=False).hexdigest()}"'
        headers = {"ETag": etag}
        wanted = request.headers.get("range", "").removeprefix("bytes=")
        if not wanted or not self.ranges or request.headers.get("if-range", etag) != etag:
            return Reply(200, data, headers, self.claimed)
        first, _, last = wanted.partition("-")
        if int(first) >= len(data):
            return Reply(416, headers=headers)
        end = min(int(last) + 1 if last else len(data), len(data))
        total = self.claimed or len(data)
        headers["Content-Range"] = f"bytes {first}-{end - 1}/{total}"
        return Reply(206, data[int(first) : end], headers)


@contextmanager
def serving(server: FileServer, tls: ssl.SSLContext | None = None) -> Iterator[FileServer]:
    """It answers on a free port of this machine until the end of the block."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.close_connection = True
            parts = urlsplit(self.path)
            headers = {name.lower(): value for name, value in self.headers.items()}
            request = Request(self.command, parts.path, parts.query, headers)
            server.requests.append(request)
            reply = server.reply(request)
            body = reply.body
            # The one byte that asks for the size is no body to cut.
            if len(body) > 1 and reply.status < 300 and server.cuts:
                body = body[: server.cuts.pop(0)]
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            length = len(reply.body) if reply.claimed is None else reply.claimed
            self.send_header("Content-Length", str(length))
            self.send_header("Connection", "close")
            self.end_headers()
            for start in range(0, len(body), 2**16):
                server.pace()
                piece = body[start : start + 2**16]
                try:
                    self.wfile.write(piece)
                except OSError:  # the client left, which some tests want
                    return
                if reply.status < 300:
                    server.sent += len(piece)

        def log_message(self, *_: object) -> None:
            pass

    listener = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    listener.daemon_threads = True
    if tls is not None:
        listener.socket = tls.wrap_socket(listener.socket, server_side=True)
    server.port, server.tls = listener.server_address[1], tls is not None
    with listening(listener, poll_interval=0.05):
        yield server
