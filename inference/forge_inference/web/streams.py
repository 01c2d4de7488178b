"""Answers while they are made: several at once, as server-sent events, and no longer than somebody listens."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine, Sequence
from contextlib import aclosing
from typing import Any, TypeVar

from fastapi import Request
from fastapi.responses import Response, StreamingResponse

from forge_inference.engine import contract
from forge_inference.engine.contract import Chunk, Engine
from forge_inference.engine.errors import EngineError
from forge_inference.telemetry.metrics import Metrics
from forge_inference.web import errors

T = TypeVar("T")
DONE = "data: [DONE]\n\n"


def event(content: object) -> str:
    """One server-sent event."""
    return f"data: {json.dumps(content, ensure_ascii=False)}\n\n"


async def together(
    engine: Engine, metrics: Metrics, requests: Sequence[contract.Request]
) -> AsyncGenerator[tuple[int, Chunk], None]:
    """Chunks of all answers as they come, each with its request's number. Raises the first EngineError of any."""
    news: asyncio.Queue[tuple[int, Chunk] | EngineError | None] = asyncio.Queue()

    async def listen(number: int, request: contract.Request) -> None:
        try:
            async with aclosing(metrics.timed(engine.generate(request))) as answer:
                async for chunk in answer:
                    news.put_nowait((number, chunk))
            news.put_nowait(None)
        except EngineError as error:
            news.put_nowait(error)

    listeners = [asyncio.create_task(listen(number, request)) for number, request in enumerate(requests)]
    open_ = len(listeners)
    try:
        while open_:
            got = await news.get()
            if isinstance(got, EngineError):
                raise got
            if got is None:
                open_ -= 1
            else:
                yield got
    finally:
        for listener in listeners:
            listener.cancel()
        await asyncio.gather(*listeners, return_exceptions=True)


async def sent(request: Request, events: AsyncGenerator[str, None], headers: dict[str, str]) -> Response:
    """The events as a response, once there is the first: until then a refusal still has its own status code."""
    first = await unless_left(request, anext(events))
    if isinstance(first, Response):
        await events.aclose()
        return first

    async def all_() -> AsyncIterator[str]:
        async with aclosing(events):
            yield first
            try:
                async for each in events:
                    yield each
            except EngineError as error:
                yield event(errors.told(error))

    return StreamingResponse(all_(), media_type="text/event-stream", headers={"cache-control": "no-store", **headers})


async def unless_left(request: Request, work: Coroutine[Any, Any, T]) -> T | Response:
    """The work's result; the work is cancelled when the client hangs up, which a plain handler would not notice."""
    task = asyncio.ensure_future(work)
    left = asyncio.create_task(_left(request))
    try:
        await asyncio.wait((task, left), return_when=asyncio.FIRST_COMPLETED)
        return await task if task.done() else Response(status_code=499)
    finally:
        for each in (task, left):
            each.cancel()
        await asyncio.gather(task, left, return_exceptions=True)


async def _left(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
