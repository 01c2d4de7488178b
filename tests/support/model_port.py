"""What a kwok pod would answer on its serving port. One server is all pods, as in `tests/support/pods.py`."""

import json
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.support.ports import listening


class ModelPort(ThreadingHTTPServer):
    """Answers a POST with its own text, in a stream of three events, `takes` seconds long."""

    daemon_threads = True
    request_queue_size = 256

    def __init__(self, port: int = 8000) -> None:
        super().__init__(("0.0.0.0", port), _Handler)
        self.takes = 0.0
        self.answered: Counter[str] = Counter()  # by the text that came


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: ModelPort

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.answered[asked["text"]] += 1
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        for part in ("begin", asked["text"], "end"):
            self.wfile.write(f"data: {part}\n\n".encode())
            time.sleep(self.server.takes / 3)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it
        """Silent: the tests count `answered` instead."""


@contextmanager
def model_port() -> Iterator[ModelPort]:
    """Raises OSError when something else holds port 8000 of this machine."""
    server = ModelPort()
    with listening(server):
        yield server
