"""One model at a time: make the cluster hold what it asks for, then say how it is. Idempotent."""

import logging
from collections.abc import Callable, Collection, Mapping
from datetime import datetime
from typing import Any, Protocol

from forge_operator.api.parse import Model, parse
from forge_operator.api.v1alpha1 import Manifest
from forge_operator.children import desired
from forge_operator.children.shape import child_name
from forge_operator.cluster.apply import Applier, Writer, is_ours
from forge_operator.cluster.errors import ClusterError, Conflict, Missing, Terminating
from forge_operator.cluster.events import event
from forge_operator.cluster.kinds import DEPLOYMENT, MODEL, Kind
from forge_operator.cluster.prune import Remover, prune
from forge_operator.control.cache import Cache, Key
from forge_operator.control.metrics import Metrics
from forge_operator.control.observe import Observer
from forge_operator.control.scaling import Scaler, lift
from forge_operator.errors import ChildDeclined, InvalidSpec, NameConflict, NotYet
from forge_operator.settings import Settings
from forge_operator.status.conditions import judge, refused
from forge_operator.status.decisions import FRESH, is_behind
from forge_operator.status.news import news

logger = logging.getLogger(__name__)


class Cluster(Writer, Remover, Scaler, Protocol):
    """The part of the client that this needs."""

    async def apply_status(self, model: Manifest, status: Mapping[str, Any]) -> Manifest: ...

    async def tell(self, event: Manifest) -> None: ...


class Reconciler:
    """`reconcile` may run for several models at once, never twice for one."""

    def __init__(
        self,
        client: Cluster,
        cache: Cache,
        observer: Observer,
        settings: Settings,
        kinds: Collection[Kind],
        metrics: Metrics,
        now: Callable[[], datetime],
        give_way: Callable[[Key], bool],
        look_again: Callable[[Key, float], None],
    ) -> None:
        """`kinds`: those that the cluster knows. `look_again`: in so many seconds.

        `give_way`: whether others are more urgent; the key then comes again after them.
        """
        self._client, self._cache, self._observer = client, cache, observer
        self._settings, self._metrics, self._now = settings, metrics, now
        self._kinds = {kind.name for kind in kinds}
        self._give_way, self._look_again = give_way, look_again
        self._applier = Applier(client)

    async def reconcile(self, key: Key) -> None:
        """Bring one model up to date.

        Raises NotYet, NameConflict, ChildDeclined or ClusterError when it must be looked at again.
        """
        body = self._cache.model(key)
        if body is None or "deletionTimestamp" in body["metadata"]:
            return  # the garbage collector removes the children
        again: NotYet | InvalidSpec | None = None
        try:
            model = parse(body)
            if not await self._make(key, model):
                return
            observed = await self._observer.observe(model)
            status = judge(model, observed, body.get("status") or {}, self._now())
            if is_behind(status, model, observed):
                self._look_again(key, FRESH.total_seconds())
            if observed.report_errors:
                again = NotYet("A pod has not reported.")
        except (NotYet, InvalidSpec) as error:
            status = refused(body, error, body.get("status") or {}, self._now())
            # An invalid spec is looked at again when its owner changes it; the rest may change by itself.
            again = error if isinstance(error, NotYet | NameConflict | ChildDeclined) else None
            self._metrics.errors.labels(reason=type(error).__name__).inc()
        if status != (body.get("status") or {}):
            await self._write_status(body, status)
        if again is not None:
            raise again

    async def _make(self, key: Key, model: Model) -> bool:
        """Whether all was made; otherwise the key comes again."""
        # A kind that the cluster does not know cannot be made; `AutoscalingActive` says so.
        children = [child for child in desired(model, self._settings) if child["kind"] in self._kinds]
        is_new = not self._cache.children(model.uid)
        for child in children:
            kind, name = child["kind"], child["metadata"]["name"]
            # Pods of the first of many models would keep the cluster busy while the last have not even a name yet.
            if is_new and kind == "Deployment" and self._give_way(key):
                return False
            applied = await self._applier.apply(child, model, self._cache.child(kind, model.namespace, name))
            if applied is not None:
                self._metrics.writes.labels(verb="apply", kind=kind).inc()
                self._cache.put(kind, applied)
        await self._prune(model, {(child["kind"], child["metadata"]["name"]) for child in children})
        deployment = self._cache.child(DEPLOYMENT.name, model.namespace, child_name(model.name))
        if await lift(self._client, model, self._settings, deployment):
            self._metrics.writes.labels(verb="patch", kind=f"{DEPLOYMENT.name}/scale").inc()
        return True

    async def _prune(self, model: Model, wanted: Collection[tuple[str, str]]) -> None:
        known = [place for place in self._cache.children(model.uid) if (place.kind, place.name) not in wanted]
        # Other controllers copy our labels to objects of their own; those are theirs to remove.
        ours = [place for place in known if (live := self._cache.child(*place)) and is_ours(live, model.uid)]
        for kind in {place.kind for place in ours}:
            for gone in await prune(self._client, model, kind, {name for each, name in wanted if each == kind}):
                self._metrics.writes.labels(verb="delete", kind=kind).inc()
                self._cache.drop(kind, gone)

    async def _write_status(self, body: Manifest, status: Mapping[str, Any]) -> None:
        try:
            written = await self._client.apply_status(body, status)
        except Missing:
            return  # deleted meanwhile
        except Conflict as error:
            raise NotYet(str(error)) from error
        self._metrics.writes.labels(verb="apply", kind=f"{MODEL.name}/status").inc()
        self._cache.put(MODEL.name, written)
        for each in news(body.get("status") or {}, status):
            try:
                await self._client.tell(event(body, each.kind, each.reason, each.message, self._now()))
            except (Missing, Terminating):  # the namespace is on its way out, and the model with it
                return
            except ClusterError as error:  # the status has it all; an event is for who looks at the right time
                logger.warning("no event for %s: %s", body["metadata"]["name"], error)
