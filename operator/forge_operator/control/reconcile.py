"""One model at a time: make the cluster hold what it asks for, then say how it is. Idempotent."""

import asyncio
import logging
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Protocol

from pydantic import ValidationError

from forge_operator.api.parse import Model, parse
from forge_operator.api.v1alpha1 import SERVER, Manifest
from forge_operator.children import desired
from forge_operator.cluster.apply import Applier, Writer
from forge_operator.cluster.errors import ClusterError, Conflict, Missing, Terminating
from forge_operator.cluster.events import event
from forge_operator.cluster.kinds import MODEL
from forge_operator.cluster.prune import Remover, prune
from forge_operator.cluster.reports import ReportUnavailable
from forge_operator.control.cache import Cache, Key
from forge_operator.control.metrics import Metrics
from forge_operator.errors import ChildDeclined, InvalidSpec, NameConflict, NotYet
from forge_operator.settings import Settings
from forge_operator.status.conditions import judge, refused
from forge_operator.status.news import news
from forge_operator.status.observed import Observed, Report, is_ready, uid

logger = logging.getLogger(__name__)

_FRESH = timedelta(minutes=1)  # of a report: each resync asks anew, a burst of events does not


class Cluster(Writer, Remover, Protocol):
    """The part of the client that this needs."""

    async def apply_status(self, model: Manifest, status: Mapping[str, Any]) -> Manifest: ...

    async def tell(self, event: Manifest) -> None: ...


class PodReports(Protocol):
    """Reads what a pod says of itself."""

    async def fetch(self, pod: Manifest) -> Mapping[str, Any]: ...


class Reconciler:
    """`reconcile` may run for several models at once, never twice for one."""

    def __init__(
        self,
        client: Cluster,
        cache: Cache,
        reports: PodReports,
        settings: Settings,
        metrics: Metrics,
        now: Callable[[], datetime],
        give_way: Callable[[Key], bool],
    ) -> None:
        """`give_way`: whether others are more urgent; the key then comes again after them."""
        self._client, self._cache, self._pods = client, cache, reports
        self._settings, self._metrics, self._now = settings, metrics, now
        self._give_way = give_way
        self._applier = Applier(client)
        # What a server loaded is the same until it is started again; whether its files still are, it says when asked.
        self._reports: dict[str, tuple[int, datetime, Report]] = {}

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
            observed = await self._observe(model)
            status = judge(model, observed, body.get("status") or {}, self._now())
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
        children = desired(model, self._settings)
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
        wanted = {(child["kind"], child["metadata"]["name"]) for child in children}
        for kind in {place.kind for place in self._cache.children(model.uid) if (place.kind, place.name) not in wanted}:
            keep = {name for each, name in wanted if each == kind}
            for gone in await prune(self._client, model, kind, keep):
                self._metrics.writes.labels(verb="delete", kind=kind).inc()
                self._cache.drop(kind, gone)
        return True

    async def _observe(self, model: Model) -> Observed:
        pods = self._cache.pods(model.uid)
        deployment = next(
            (
                self._cache.child(place.kind, place.namespace, place.name)
                for place in self._cache.children(model.uid)
                if place.kind == "Deployment"
            ),
            None,
        )
        current = [pod for pod in Observed(deployment, pods).current() if is_ready(pod)]
        asked = await asyncio.gather(*(self._report(pod) for pod in current))
        reports, errors = {}, {}
        for pod, answer in zip(current, asked, strict=True):
            if isinstance(answer, Report):
                reports[uid(pod)] = answer
            else:
                errors[uid(pod)] = answer
        return Observed(deployment, pods, reports, errors)

    async def _report(self, pod: Manifest) -> Report | str:
        """What the pod says, or why it says nothing."""
        restarts = _restarts(pod)
        known = self._reports.get(uid(pod))
        if known is not None and known[0] == restarts and self._now() - known[1] < _FRESH:
            return known[2]
        try:
            report = Report.model_validate(await self._pods.fetch(pod))
        except ReportUnavailable as error:
            return known[2] if known is not None and known[0] == restarts else str(error)
        except ValidationError as error:
            fault = error.errors(include_url=False)[0]
            return f"its report is not as expected: {'.'.join(map(str, fault['loc']))}: {fault['msg']}"
        self._reports[uid(pod)] = (restarts, self._now(), report)
        return report

    def forget_pod(self, pod: Mapping[str, Any]) -> None:
        """A pod is gone: so is what it said."""
        self._reports.pop(pod["metadata"]["uid"], None)

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


def _restarts(pod: Manifest) -> int:
    statuses = pod.get("status", {}).get("containerStatuses") or []
    return next((int(each.get("restartCount", 0)) for each in statuses if each.get("name") == SERVER), 0)
