"""An app on a real port, in the event loop of the test that scripts its engine."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator

import uvicorn
from fastapi import FastAPI

from forge_inference.serve import _Server


@contextlib.asynccontextmanager
async def listening(app: FastAPI) -> AsyncIterator[str]:
    """Yields the address. At the end, answers that go on are broken off after a second."""
    config = uvicorn.Config(app, http="h11", ws="none", lifespan="off", log_config=None, timeout_graceful_shutdown=1)
    server = _Server(config)
    listener = socket.create_server(("127.0.0.1", 0))  # from now on it takes connections, which wait for the server
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        await task
