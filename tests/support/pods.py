"""What a kwok pod would say on its admin port. kwok gives pods addresses of 127.0.0.0/8: one server is all of them."""

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Report = dict[str, Any]
Answer = Report | int  # a report, or the status code of a pod that has none


def a_report(*, effective: bool = True, succeeded: bool = True, digest: str = "sha256:" + "a" * 64) -> Report:
    """What a pod that loaded its checkpoint says; see docs/architecture.md."""
    return {
        "model": "any",
        "version": "0.1.0",
        "checkpoint": {
            "digest": digest,
            "baseModel": "HuggingFaceTB/SmolLM2-135M-Instruct",
            "rank": 8,
            "alpha": 16.0,
            "targetModules": ["down_proj", "q_proj"],
        },
        "quantization": {"method": "nf4", "doubleQuant": True, "computeDtype": "bfloat16"},
        "adapterEffect": {"effective": effective, "maxAbsLogitDelta": 7.25 if effective else 0.0},
        "probe": {"succeeded": succeeded, "tokens": 8 if succeeded else 0, "milliseconds": 310},
    }


class AdminPort(ThreadingHTTPServer):
    """Answers `/report` for every pod; a test replaces `answer`, a function of the pod's address."""

    daemon_threads = True
    request_queue_size = 256
    answer: Callable[[str], Answer]
    asked: Counter[str]  # requests by pod address

    def __init__(self, port: int = 8081) -> None:
        super().__init__(("0.0.0.0", port), _Handler)
        self.reset()

    def reset(self) -> None:
        self.asked = Counter()
        self.say(a_report())

    def say(self, answer: Answer) -> None:
        """From now on all pods say this."""
        self.answer = lambda address: answer


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: AdminPort

    def do_GET(self) -> None:
        address = self.connection.getsockname()[0]  # which pod was asked
        self.server.asked[address] += 1
        said = self.server.answer(address) if self.path == "/report" else 404
        status, body = (said, {}) if isinstance(said, int) else (200, said)
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Silent: the tests count `asked` instead."""


@contextmanager
def admin_port() -> Iterator[AdminPort]:
    """Raises OSError when something else holds port 8081 of this machine."""
    server = AdminPort()
    thread = threading.Thread(target=server.serve_forever, name="admin-port", daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
