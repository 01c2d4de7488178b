"""Wakes models: from no replica to one, for as long as somebody waits and no pod is ready."""

import asyncio
import logging
from datetime import UTC, datetime
from typing import Protocol, Self

from forge_operator.activator.room import Room
from forge_operator.activator.table import Place, Table, Target
from forge_operator.cluster.client import Client
from forge_operator.cluster.errors import ClusterError, Conflict, Missing
from forge_operator.cluster.events import event
from forge_operator.cluster.kinds import DEPLOYMENT, MODEL

logger = logging.getLogger(__name__)

# Seconds between two looks at a Deployment for which somebody waits: another one may have put it back to 0.
_LOOK_AGAIN = 3.0
_FRESH = 5.0  # seconds for which a reason is told without asking again


class Sleepers(Protocol):
    """What is asked of the cluster."""

    async def wake(self, target: Target) -> bool: ...

    async def trouble(self, target: Target) -> str: ...


class Deployments:
    """The cluster."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def wake(self, target: Target) -> bool:
        """Whether it slept until now. Raises ClusterError."""
        path = DEPLOYMENT.path(target.place.namespace, target.place.name, "scale")
        scale = await self._client.request("GET", path)
        if scale.get("spec", {}).get("replicas"):
            return False
        await self._client.scale(scale, 1)
        await self._tell(target)
        return True

    async def _tell(self, target: Target) -> None:
        model = {"metadata": {"namespace": target.place.namespace, "name": target.model, "uid": target.uid}}
        try:
            await self._client.tell(event(model, "Normal", "Woken", "Woken by a request.", datetime.now(UTC)))
        except ClusterError as error:  # it is awake all the same
            logger.warning("no event for %s: %s", target.model, error)

    async def trouble(self, target: Target) -> str:
        """What the model's status says of why it does not serve; empty when it cannot be read."""
        try:
            model = await self._client.get(MODEL, target.place.namespace, target.model)
        except ClusterError as error:
            logger.warning("status of %s: %s", target.model, error)
            return ""
        conditions = (model or {}).get("status", {}).get("conditions") or []
        ready = next((each for each in conditions if each["type"] == "Ready"), None)
        return f"{ready['reason']}: {ready['message']}" if ready else ""


class Waker:
    """One task for each model that is awaited, however many wait for it. At the end of the context it wakes nobody."""

    def __init__(self, sleepers: Sleepers, table: Table, room: Room) -> None:
        self._sleepers, self._table, self._room = sleepers, table, room
        self._tasks: dict[Place, asyncio.Task[None]] = {}
        self._refusals: dict[Place, str] = {}  # why the last try failed
        self._told: dict[Place, tuple[float, asyncio.Task[str]]] = {}
        self.woken = 0

    def wake(self, target: Target) -> None:
        """Somebody waits for this model."""
        if target.place not in self._tasks:
            self._tasks[target.place] = asyncio.create_task(self._wake(target), name=f"wake {target.place}")

    async def why(self, target: Target) -> str:
        """Why the model is not up yet. Many who ask at once are one who asks."""
        if refusal := self._refusals.get(target.place):
            return refusal
        now = asyncio.get_running_loop().time()
        asked, told = self._told.get(target.place, (0.0, None))
        if told is None or now - asked > _FRESH:
            self._told = {place: each for place, each in self._told.items() if now - each[0] <= _FRESH}
            told = asyncio.create_task(self._sleepers.trouble(target))
            self._told[target.place] = now, told
        return await asyncio.shield(told)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        tasks = [*self._tasks.values(), *(task for _, task in self._told.values())]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _wake(self, target: Target) -> None:
        place = target.place
        try:
            while self._room.waits_for(place) and not self._table.ready(place):
                await self._try(target)
                await self._table.news(place, _LOOK_AGAIN)
        finally:
            self._refusals.pop(place, None)
            del self._tasks[place]

    async def _try(self, target: Target) -> None:
        try:
            if await self._sleepers.wake(target):
                self.woken += 1
                logger.info("woke %s", target.model, extra={"model": f"{target.place.namespace}/{target.model}"})
            self._refusals.pop(target.place, None)
        except Conflict:
            return  # somebody changed it since we looked: we look again
        except Missing:
            self._refusals[target.place] = "The model has no Deployment."
        except ClusterError as error:
            logger.warning("%s is not woken: %s", target.model, error)
            self._refusals[target.place] = f"The cluster refuses to wake the model: {error}"
