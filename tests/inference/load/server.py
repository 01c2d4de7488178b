"""A model server whose answers a test writes, byte by byte, over real sockets."""

import asyncio
import contextlib
import json
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from socket import SO_LINGER, SOL_SOCKET
from typing import Any

Script = Callable[["Asked"], Awaitable[None]]


@dataclass
class Asked:
    """One request, and ways to answer it. `number` counts all requests of the server."""

    number: int
    path: str
    headers: Mapping[str, str]
    body: dict[str, Any]
    _writer: asyncio.StreamWriter

    async def raw(self, content: bytes) -> None:
        self._writer.write(content)
        await self._writer.drain()

    async def head(self, status: int = 200, kind: str = "text/event-stream", **headers: str) -> None:
        """Without a length: the body ends with the connection."""
        lines = [f"HTTP/1.1 {status} X", f"content-type: {kind}", "connection: close"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        await self.raw("".join(f"{line}\r\n" for line in [*lines, ""]).encode())

    async def event(self, content: object) -> None:
        await self.raw(f"data: {content if isinstance(content, str) else json.dumps(content)}\n\n".encode())

    async def answer(self, tokens: int = 4, *, first: float = 0.0, gap: float = 0.0, usage: bool = True) -> None:
        """A whole answer of OpenAI's routes, the first token after `first` seconds and the others `gap` apart."""
        await self.head()
        await asyncio.sleep(first)
        for left in reversed(range(tokens)):
            said = {"text": " gene"} if self.path == "/v1/completions" else {"delta": {"content": " gene"}}
            await self.event({"choices": [{**said, "finish_reason": None if left else "length"}]})
            if left:
                await asyncio.sleep(gap)
        if usage:
            await self.event({"choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": tokens}})
        await self.event("[DONE]")

    async def refuse(self, status: int, message: str = "busy", **headers: str) -> None:
        await self.head(status, "application/json", **headers)
        await self.raw(json.dumps({"error": {"message": message}}).encode())

    def reset(self) -> None:
        """Break the connection as a killed process does."""
        self._writer.get_extra_info("socket").setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()


@dataclass
class Server:
    """Where it listens, and what it was asked."""

    url: str = ""
    asked: list[Asked] = field(default_factory=list)


@asynccontextmanager
async def serving(script: Script) -> AsyncIterator[Server]:
    """One connection for each request, as the generator makes them by default."""
    server = Server()

    tasks: set[asyncio.Task[None]] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.current_task())  # type: ignore[arg-type]  # this one
        try:
            lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines[1:] if line)}
            body = json.loads(await reader.readexactly(int(headers["content-length"])))
            server.asked.append(Asked(len(server.asked), lines[0].split()[1], headers, body, writer))
            await script(server.asked[-1])
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # a client that gives up, as some tests have it
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    listener = await asyncio.start_server(handle, "127.0.0.1", 0, backlog=1024)
    server.url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}"
    try:
        async with listener:
            yield server
    finally:
        for task in tasks:  # answers that nobody waits for any more
            task.cancel()
        for ended in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(ended, Exception):
                raise ended
