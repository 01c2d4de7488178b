"""One request over HTTP, heard to its end, and every way in which it can fail."""

import asyncio
import errno
import json
import ssl
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import aiohttp  # the decision is in docs/decisions: at hundreds of requests a second httpx would be what is measured

from forge_inference.load.dialects import DONE, Dialect, Told, Wish, heard
from forge_inference.load.events import Events, Garbage
from forge_inference.load.records import CONNECT, CUT, GARBAGE, OURS, REFUSED, RESET, TIMEOUT, TOLD, Failure, Record

_SHOWN = 500  # characters of what a server said
_WAIT = 1.0  # seconds before a refused request asks again, where the server does not say
_EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.EADDRNOTAVAIL, errno.ENOBUFS, errno.ENOMEM)


@dataclass(frozen=True)
class Target:
    """Who is asked and how. `timeout` in seconds from when a request was due; `retries` after refusals."""

    url: str
    dialect: Dialect
    wish: Wish
    timeout: float
    retries: int = 0


class _Refused(Exception):
    def __init__(self, failure: Failure, wait: float) -> None:
        self.failure, self.wait = failure, wait


class Client:
    """Asks a target. `clock` tells seconds since the load began; the loop's clock is `began` ahead of it."""

    def __init__(self, http: aiohttp.ClientSession, target: Target, clock: Callable[[], float], began: float) -> None:
        self._http, self._target, self._clock, self._began = http, target, clock, began

    async def ask(self, record: Record, prompt: str) -> None:
        """Until the whole answer is there or cannot be; the record says which. Raises nothing but cancellation."""
        record.sent = self._clock()
        body = json.dumps(self._target.dialect.body(prompt, self._target.wish)).encode()
        try:
            async with asyncio.timeout_at(self._began + record.due + self._target.timeout):
                await self._insist(record, body)
        except TimeoutError:
            record.failure = Failure(TIMEOUT, f"no whole answer within {self._target.timeout:g} s")
        except (Told, Garbage) as error:
            record.failure = Failure(TOLD if isinstance(error, Told) else GARBAGE, str(error))
        except (aiohttp.ClientError, OSError) as error:
            record.failure = _broken(error)
        record.ended = self._clock()

    async def _insist(self, record: Record, body: bytes) -> None:
        while True:
            try:
                await self._once(record, body)
                return
            except _Refused as refused:
                too_late = self._clock() + refused.wait >= record.due + self._target.timeout
                if too_late or record.waits >= self._target.retries:
                    record.failure = refused.failure
                    return
                record.waits += 1
                await asyncio.sleep(refused.wait)

    async def _once(self, record: Record, body: bytes) -> None:
        async with self._http.post(self._target.url, data=body, allow_redirects=False) as answer:
            if answer.status != 200:
                said = (await answer.content.read(4 * _SHOWN)).decode(errors="replace")
                failure = _by_status(answer.status, message(said))
                if failure.kind in REFUSED:
                    raise _Refused(failure, _wait(answer.headers.get("Retry-After", "")))
                record.failure = failure
            elif answer.content_type != "text/event-stream":
                begin = (await answer.content.read(_SHOWN))[:80]
                raise Garbage(f"{answer.content_type} in place of a stream: {begin!r}")
            else:
                await self._hear(record, answer.content.iter_any())

    async def _hear(self, record: Record, pieces: AsyncIterator[bytes]) -> None:
        events, over, counted = Events(), False, None
        async for piece in pieces:
            now = self._clock()  # once for all events of a piece: they came together
            for data in events.fed(piece):
                if data == DONE:
                    record.tokens = counted if counted is not None else len(record.pieces)
                    return
                said = heard(self._target.dialect, _parsed(data))
                if said.token:
                    record.pieces.append(now)
                over = over or said.over
                counted = counted if said.tokens is None else said.tokens
                record.prompt_tokens = said.prompt_tokens or record.prompt_tokens
        record.tokens = counted if counted is not None else len(record.pieces)
        if not over:
            record.failure = Failure(CUT, f"the stream ended after {len(record.pieces)} tokens, before the answer did")


def _parsed(data: str) -> object:
    try:
        return json.loads(data)
    except ValueError as error:
        raise Garbage(f"no JSON: {data[:80]!r}") from error


def _by_status(status: int, message: str) -> Failure:
    kind = str(status)
    return Failure(kind if kind in REFUSED else f"HTTP {kind}", message)


def message(said: str) -> str:
    """The sentence in an error of OpenAI's shape, or else the beginning of what was said."""
    try:
        return str(json.loads(said)["error"]["message"])[:_SHOWN]
    except (ValueError, KeyError, TypeError):
        return said[:_SHOWN].strip()


def _wait(header: str) -> float:
    """Seconds of Retry-After, which is a number or a date."""
    try:
        return max(0.0, float(header))
    except ValueError:
        pass
    try:
        return max(0.0, (parsedate_to_datetime(header) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return _WAIT


def _broken(error: Exception) -> Failure:
    number = error.errno if isinstance(error, OSError) else None
    said = str(error) or type(error).__name__
    if number in _EXHAUSTED:
        return Failure(OURS, f"this machine has no sockets left for more requests: {said}")
    if isinstance(error, (aiohttp.ClientConnectorError, ssl.SSLError)):
        return Failure(CONNECT, said)
    if isinstance(error, aiohttp.ClientResponseError):
        return Failure(GARBAGE, f"no HTTP: {error.message}")
    return Failure(RESET, f"the connection broke: {said}")
