"""One request, from its head to the last byte of its answer."""

import random
import time
from contextlib import ExitStack
from typing import Protocol

import aiohttp
from aiohttp import web

from forge_operator.activator import incoming, refusals
from forge_operator.activator.asleep import standing_in
from forge_operator.activator.incoming import Incoming
from forge_operator.activator.metrics import Metrics
from forge_operator.activator.pods import NotConnected, Pods
from forge_operator.activator.refusals import Asleep, NoPodInTime, Refused, TooManyHeld, UnknownModel
from forge_operator.activator.relay import relay
from forge_operator.activator.room import Full, Room
from forge_operator.activator.table import Address, Table, Target

_AVOIDED_FOR = 1.0  # seconds before a pod that took no connection is tried again
_LOOK_AGAIN = 10.0


class Wakes(Protocol):
    """Who wakes models."""

    def wake(self, target: Target) -> None: ...

    async def why(self, target: Target) -> str: ...


class Proxy:
    """`handle` answers for every port."""

    def __init__(
        self, table: Table, room: Room, waker: Wakes, pods: Pods, metrics: Metrics, hold_seconds: float
    ) -> None:
        self._table, self._room, self._waker, self._pods = table, room, waker, pods
        self._metrics, self._hold_seconds = metrics, hold_seconds

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """The pod's answer as it comes, or a refusal."""
        outcome = "left"  # unless we come to its end
        try:
            with self._room.entered(), self._room.keeping() as keep:
                target = self._target(request)
                asked = await incoming.read(request, keep)
                response, outcome = await self._answer(request, target, asked)
                return response
        except Full as full:
            outcome = TooManyHeld.__name__
            return refusals.answer(TooManyHeld(f"The model has no pod yet, and {full}."))
        except Refused as refused:
            outcome = type(refused).__name__
            return refusals.answer(refused)
        finally:
            self._metrics.ended(outcome)

    def _target(self, request: web.BaseRequest) -> Target:
        name = request.get_extra_info("sockname")
        target = self._table.target(name[1]) if name else None
        if target is None:
            raise UnknownModel("No model is here any more.")
        return target

    async def _answer(
        self, request: web.BaseRequest, target: Target, asked: Incoming
    ) -> tuple[web.StreamResponse, str]:
        if asked.method != "POST" and not self._table.ready(target.place):
            return standing_in(asked, target), Asleep.__name__
        answer = await self._ask(target, asked)
        try:
            return await relay(request, answer)
        finally:
            answer.close()  # a client that left ends its generation so

    async def _ask(self, target: Target, asked: Incoming) -> aiohttp.ClientResponse:
        """The head of the answer, from a pod that took the request. No request is sent twice."""
        begun = time.monotonic()
        with ExitStack() as seat:
            seat.enter_context(self._room.waiting(target.place))

            def connected() -> None:
                seat.close()
                self._metrics.wait.observe(time.monotonic() - begun)

            not_connected: set[Address] = set()
            while True:
                address = await self._address(target, not_connected, begun + self._hold_seconds)
                try:
                    return await self._pods.ask(address, asked, connected)
                except NotConnected:
                    not_connected.add(address)

    async def _address(self, target: Target, avoided: set[Address], deadline: float) -> Address:
        """A ready pod's; those to avoid are tried again after a while. Raises NoPodInTime."""
        while not (ready := [each for each in self._table.ready(target.place) if each not in avoided]):
            left = deadline - time.monotonic()
            if left <= 0:
                why = await self._waker.why(target)
                raise NoPodInTime(f"No pod was ready within {self._hold_seconds:g} s. {why}".strip())
            self._waker.wake(target)
            await self._table.news(target.place, min(left, _AVOIDED_FOR if avoided else _LOOK_AGAIN))
            avoided.clear()
        return random.choice(ready)  # noqa: S311 - spreads load
