"""Ports that nobody listens on, and servers that listen on one."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from socketserver import BaseServer


def free_port(host: str = "127.0.0.1") -> int:
    with socket.socket() as found:
        found.bind((host, 0))
        return int(found.getsockname()[1])


@contextmanager
def listening(server: BaseServer, poll_interval: float = 0.5) -> Iterator[None]:
    """A server in a thread of its own; closed at the end. `poll_interval`: seconds in which it notices that."""
    thread = threading.Thread(target=server.serve_forever, args=(poll_interval,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
