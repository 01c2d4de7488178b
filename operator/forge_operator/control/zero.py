"""Models that may have no pod: when the last one goes, and who takes requests while none is ready.

What is not known takes no pod away: a pod that does not answer, is being loaded, or does not say for how long it has
had no work; an activator that is not there to hold the requests.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from pydantic import ValidationError

from forge_operator.api.parse import Model
from forge_operator.api.v1alpha1 import Manifest
from forge_operator.children.activation import PORTS, Family, StandIn, free_port
from forge_operator.children.autoscaling import asked
from forge_operator.children.shape import child_name
from forge_operator.cluster.apply import is_ours
from forge_operator.cluster.kinds import DEPLOYMENT, ENDPOINT_SLICE
from forge_operator.cluster.reports import ReportUnavailable
from forge_operator.control.activators import Activators
from forge_operator.control.cache import Cache, Key
from forge_operator.control.observe import PodReports
from forge_operator.control.scaling import Scaler, set_replicas
from forge_operator.settings import Settings
from forge_operator.status.observed import Report, condition, is_ready

logger = logging.getLogger(__name__)

# Seconds after which a pod that became ready is on every node's list. A request that reaches the activator until then
# is passed on; none may find nobody.
_LISTED = 5.0
_ASK_AGAIN = 30.0  # seconds after a pod did not say for how long it has been idle


@dataclass(frozen=True)
class Plan:
    """Who stands in, None for a model that always has a pod; and whether its pods go now."""

    stand_in: StandIn | None = None
    sleeps: bool = False


class Zero:
    """`plan` decides; `put_to_sleep` does it, after the stand-in was put in place."""

    def __init__(
        self,
        cache: Cache,
        pods: PodReports,
        activators: Activators,
        settings: Settings,
        now: Callable[[], datetime],
        look_again: Callable[[Key, float], None],
    ) -> None:
        self._cache, self._pods, self._activators = cache, pods, activators
        self._settings, self._now, self._look_again = settings, now, look_again
        self._given: dict[str, int] = {}  # ports of slices that the cache may not have yet, by the model's uid
        # By the model's uid: its idleSeconds, and before when no pod can have been idle for so long.
        self._due: dict[str, tuple[timedelta, datetime]] = {}

    async def plan(self, key: Key, model: Model) -> Plan:
        """What is to be done for a model that may have no pod."""
        wish = asked(model, self._settings)
        if wish is None or wish.idle_after is None or not self._activators.exist:
            return Plan()
        deployment = self._cache.child(DEPLOYMENT.name, model.namespace, child_name(model.name))
        awake = (deployment or {}).get("spec", {}).get("replicas", 1) > 0
        pods = [pod for pod in self._cache.pods(model.uid) if "deletionTimestamp" not in pod["metadata"]]
        longest = max((self._ready_for(pod) for pod in pods if is_ready(pod)), default=None)
        is_listed = awake and longest is not None and longest >= _LISTED
        if awake and longest is not None and not is_listed:
            self._look_again(key, _LISTED - longest)
        sleeps = awake and await self._is_idle(key, model, pods, timedelta(seconds=wish.idle_after))
        port = self._port(model)
        if port is None:
            logger.error("no port is left for %s: it stays awake", key, extra={"model": str(key)})
            return Plan()
        known = self._cache.child(ENDPOINT_SLICE.name, model.namespace, child_name(model.name))
        if known is None and not self._activators.addresses:
            return Plan()  # of which family its addresses will be is not known yet, and stays with a slice
        family: Family = known["addressType"] if known else self._activators.family
        fits = family == self._activators.family
        addresses = self._activators.addresses if fits and (sleeps or not is_listed) else ()
        return Plan(StandIn(port, addresses, family), sleeps and fits)

    async def put_to_sleep(self, client: Scaler, model: Model, deployment: Manifest) -> None:
        """Take all pods away. They finish what they have begun; raises NotYet when somebody else was faster."""
        await set_replicas(client, deployment, 0)
        self._due.pop(model.uid, None)
        logger.info("nobody asks %s: it sleeps", model.name, extra={"model": f"{model.namespace}/{model.name}"})

    async def _is_idle(self, key: Key, model: Model, pods: Sequence[Manifest], limit: timedelta) -> bool:
        """Whether every pod has been ready and without work for so long. Looks again when that may be."""
        if self._settings.autoscaling.backend == "keda":  # which has a trigger of its own for it
            return False
        if not pods or not all(map(is_ready, pods)) or not self._activators.addresses:
            return False
        now = self._now()
        asked_for, due = self._due.get(model.uid, (limit, now))
        if asked_for != limit or due <= now:
            quiet = min(map(self._ready_for, pods))
            if quiet >= limit.total_seconds():
                quiet = min(quiet, await self._idle_for(pods))
                if quiet >= limit.total_seconds():
                    return True
            due = now + timedelta(seconds=limit.total_seconds() - quiet if quiet >= 0 else _ASK_AGAIN)
            self._due[model.uid] = limit, due
        self._look_again(key, (due - now).total_seconds())
        return False

    async def _idle_for(self, pods: Sequence[Manifest]) -> float:
        """Seconds for which none had work; negative when one does not say."""
        try:
            said = await asyncio.gather(*(self._pods.fetch(pod) for pod in pods))
            idle = [Report.model_validate(each).idle_seconds for each in said]
        except (ReportUnavailable, ValidationError):
            return -1.0
        return min(-1.0 if seconds is None else seconds for seconds in idle)

    def _ready_for(self, pod: Manifest) -> float:
        """Seconds for which the pod has taken requests; 0 while it takes none."""
        since = condition(pod, "Ready").get("lastTransitionTime")
        if not is_ready(pod) or since is None:
            return 0.0
        return max(0.0, (self._now() - datetime.fromisoformat(since)).total_seconds())

    def _port(self, model: Model) -> int | None:
        """The model's own, the same for as long as it exists; None when none is left."""
        name = child_name(model.name)
        taken: dict[int, tuple[str, str]] = {}
        mine: tuple[int, tuple[str, str]] | None = None
        for place, live in self._cache.of_kind(ENDPOINT_SLICE.name):
            age = live["metadata"].get("creationTimestamp") or "", live["metadata"]["uid"]
            port = (live.get("ports") or [{}])[0].get("port") or 0
            if place == (ENDPOINT_SLICE.name, model.namespace, name) and is_ours(live, model.uid):
                mine = port, age
                self._given.pop(model.uid, None)
            else:
                taken[port] = min(age, taken.get(port, age))
        if mine is not None and mine[0] in PORTS and mine[1] < taken.get(mine[0], ("~", "")):
            return mine[0]
        if model.uid not in self._given:
            port = free_port(model.uid, {*taken, *self._given.values()})
            if port is None:
                return None
            self._given[model.uid] = port
        return self._given[model.uid]
