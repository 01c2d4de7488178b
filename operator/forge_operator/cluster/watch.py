"""A list, and then what changes in it: for programs that look at one kind of object, without Kopf."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Iterator
from typing import NamedTuple

import aiohttp

from forge_operator.api.v1alpha1 import Manifest
from forge_operator.children.shape import FIELD_MANAGER
from forge_operator.cluster.client import Client
from forge_operator.cluster.errors import ClusterError, Unavailable, from_answer
from forge_operator.cluster.kinds import Kind

logger = logging.getLogger(__name__)

_PAGE = 500  # objects of one answer
_SERVED = 60  # seconds after which the API server ends a watch, so that a dead connection is noticed soon
_PATIENCE = aiohttp.ClientTimeout(total=_SERVED + 15, sock_connect=10)
_LONGEST = 4 * 2**20  # bytes of one event; an object has 1.5 MiB at most


class Listed(NamedTuple):
    """All there is: what was known before and is not among it is gone."""

    things: list[Manifest]


class Changed(NamedTuple):
    """One object is now as it is here, or `gone`."""

    thing: Manifest
    gone: bool


class Watch:
    """One kind of object in one namespace, or in all of them (an empty name)."""

    def __init__(self, client: Client, kind: Kind, namespace: str, selector: str) -> None:
        self._client, self._selector = client, selector
        self._path = kind.path(namespace)
        self._version = ""  # up to which everything was told

    async def follow(self) -> AsyncIterator[Listed | Changed]:
        """For ever: a list, its changes, and another list whenever a change may have been missed.

        An API server that does not answer is waited for; what was told last is the best that is known meanwhile.
        """
        pauses = _pauses()
        connector = aiohttp.TCPConnector(ssl=self._client.tls())
        async with aiohttp.ClientSession(connector=connector, timeout=_PATIENCE, read_bufsize=_LONGEST) as session:
            while True:
                try:
                    yield Listed(await self._list())
                    pauses = _pauses()
                    while True:
                        async for change in self._changes(session):
                            yield change
                except ClusterError as error:
                    pause = next(pauses)
                    logger.warning("%s. Again in %d s.", error, pause)
                    await asyncio.sleep(pause)

    async def _list(self) -> list[Manifest]:
        things: list[Manifest] = []
        async for items, metadata in self._client.pages(self._path, self._selector, size=_PAGE):
            things += items
            self._version = metadata["resourceVersion"]
        return things

    async def _changes(self, session: aiohttp.ClientSession) -> AsyncIterator[Changed]:
        """Until the API server ends this watch. Raises ClusterError, also when it has forgotten our version."""
        did = f"watch {self._path}"
        query = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "timeoutSeconds": str(_SERVED),
            "labelSelector": self._selector,
            "resourceVersion": self._version,
        }
        headers = {"Accept": "application/json", "User-Agent": FIELD_MANAGER}
        if token := await self._client.authorization():
            headers["Authorization"] = token
        found = self._client.configuration
        try:
            async with session.get(
                f"{found.host}{self._path}", params=query, headers=headers, proxy=found.proxy
            ) as answer:
                if answer.status != 200:
                    raise from_answer(answer.status, await answer.content.read(_PAGE), did)
                async for line in answer.content:
                    event = json.loads(line)
                    if event["type"] == "ERROR":
                        raise Unavailable(f"{did}: {event['object'].get('message')}", event["object"].get("code", 0))
                    self._version = event["object"]["metadata"]["resourceVersion"]
                    if event["type"] != "BOOKMARK":
                        yield Changed(event["object"], event["type"] == "DELETED")
        except (TimeoutError, aiohttp.ClientError, OSError, ValueError) as error:
            raise Unavailable(f"{did}: {str(error) or type(error).__name__}") from error


def _pauses() -> Iterator[int]:
    yield from (1, 1, 2, 3, 5, 8)
    while True:
        yield 10
