"""A connection that breaks: between a client and a real server, which knows nothing of it."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field


@dataclass
class Cutter:
    """`cuts`: after so many bytes from the server the next long answers end, one each."""

    port: int
    cuts: list[int] = field(default_factory=list)
    passed: int = 0  # bytes from the server that reached the client

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def cutting(target: int) -> Iterator[Cutter]:
    """It stands before a port of this machine until the end of the block."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        cutter = Cutter(listener.getsockname()[1])
        threading.Thread(target=_accept, args=(listener, target, cutter), daemon=True).start()
        try:
            yield cutter
        finally:
            listener.shutdown(socket.SHUT_RDWR)  # which wakes the thread that waits for clients


def _accept(listener: socket.socket, target: int, cutter: Cutter) -> None:
    with suppress(OSError):  # the listener was closed: the end
        while True:
            client, _ = listener.accept()
            server = socket.create_connection(("127.0.0.1", target))
            threading.Thread(target=_upwards, args=(client, server), daemon=True).start()
            threading.Thread(target=_downwards, args=(client, server, cutter), daemon=True).start()


def _upwards(client: socket.socket, server: socket.socket) -> None:
    with suppress(OSError):
        while data := client.recv(2**16):
            server.sendall(data)
        server.shutdown(socket.SHUT_WR)


def _downwards(client: socket.socket, server: socket.socket, cutter: Cutter) -> None:
    with client, server, suppress(OSError):
        through = 0
        while data := server.recv(2**16):
            if cutter.cuts and through + len(data) > cutter.cuts[0]:
                data = data[: cutter.cuts.pop(0) - through]
                client.sendall(data)
                cutter.passed += len(data)
                client.shutdown(socket.SHUT_RDWR)
                return
            client.sendall(data)
            through += len(data)
            cutter.passed += len(data)
