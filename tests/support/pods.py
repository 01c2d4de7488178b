"""What a kwok pod would say on its admin port. kwok gives pods addresses of 127.0.0.0/8: one server is all of them."""

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.support.expositions import Exposition
from tests.support.models import a_report
from tests.support.ports import listening

Report = dict[str, Any]
Answer = Report | int  # a report, or the status code of a pod that has none


def said(**changes: Any) -> Report:
    """What a healthy pod says, as JSON; `changes` replace whole parts."""
    return a_report(**changes).model_dump(mode="json", by_alias=True)


INEFFECTIVE = said(adapterEffect={"effective": False, "maxAbsLogitDelta": 0.0})
PROBE_FAILED = said(probe={"succeeded": False, "tokens": 0, "milliseconds": 12})


class AdminPort(ThreadingHTTPServer):
    """Answers `/report` and `/metrics` for every pod; a test replaces `answer` and `metrics`, functions of its address.

    Metrics that are None never come.
    """

    daemon_threads = True
    request_queue_size = 256
    answer: Callable[[str], Answer]
    metrics: Callable[[str], str | None]
    asked: Counter[str]  # requests by pod address

    def __init__(self, port: int = 8081) -> None:
        super().__init__(("0.0.0.0", port), _Handler)
        self.hangs_until = threading.Event()
        self.reset()

    def reset(self) -> None:
        self.asked = Counter()
        self.say(said())
        self.metrics = lambda address: Exposition().text
        self.hangs_until.set()
        self.hangs_until = threading.Event()

    def say(self, answer: Answer) -> None:
        """From now on all pods say this."""
        self.answer = lambda address: answer


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: AdminPort

    def do_GET(self) -> None:
        address = self.connection.getsockname()[0]  # which pod was asked
        if self.path == "/metrics":
            self._tell_metrics(address)
            return
        self.server.asked[address] += 1
        answer = self.server.answer(address) if self.path == "/report" else 404
        status, body = (answer, {}) if isinstance(answer, int) else (200, answer)
        self._send(status, "application/json", json.dumps(body).encode())

    def _tell_metrics(self, address: str) -> None:
        text, hangs_until = self.server.metrics(address), self.server.hangs_until
        if text is None:
            hangs_until.wait()
            self.close_connection = True
            return
        self._send(200, "text/plain; version=0.0.4", text.encode())

    def _send(self, status: int, kind: str, content: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it
        """Silent: the tests count `asked` instead."""


@contextmanager
def admin_port() -> Iterator[AdminPort]:
    """Raises OSError when something else holds port 8081 of this machine."""
    server = AdminPort()
    with listening(server):
        try:
            yield server
        finally:
            server.hangs_until.set()
