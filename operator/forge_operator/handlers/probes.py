"""The kubelet's questions, and Prometheus'."""

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager

from aiohttp import web

Trouble = Callable[[], str | None]  # what is wrong, None when nothing is


@asynccontextmanager
async def serving(port: int, answers: Mapping[str, Callable[[], web.Response]]) -> AsyncIterator[None]:
    """Answer GET on these paths while the context is open. Raises OSError when the port is taken."""
    async with listening(answering(answers), port):
        yield


def answering(answers: Mapping[str, Callable[[], web.Response]]) -> web.Application:
    """An application that answers GET on these paths."""
    app = web.Application()
    for path, answer in answers.items():
        app.router.add_get(path, _route(answer))
    return app


@asynccontextmanager
async def listening(app: web.Application, port: int, tls: ssl.SSLContext | None = None) -> AsyncIterator[None]:
    """Serve while the context is open. Raises OSError when the port is taken."""
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, port=port, ssl_context=tls).start()
        yield
    finally:
        await runner.cleanup()


def probe(trouble: Trouble) -> Callable[[], web.Response]:
    """200 `ok`, or 503 and what is wrong."""

    def answer() -> web.Response:
        wrong = trouble()
        return web.Response(status=503 if wrong else 200, text=f"{wrong or 'ok'}\n")

    return answer


def text(content: Callable[[], bytes]) -> Callable[[], web.Response]:
    """Prometheus' text format."""
    return lambda: web.Response(body=content(), headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"})


def _route(answer: Callable[[], web.Response]) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def handle(_: web.Request) -> web.Response:
        return answer()

    return handle
