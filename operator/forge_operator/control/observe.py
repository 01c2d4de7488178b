"""Gathers what is to be judged of one model: from the cache, and from its pods' own reports."""

import asyncio
from collections.abc import Callable, Collection, Mapping
from datetime import datetime, timedelta
from typing import Any, Protocol

from pydantic import ValidationError

from forge_operator.api.parse import Model
from forge_operator.api.v1alpha1 import SERVER, Manifest
from forge_operator.children.shape import child_name
from forge_operator.cluster.kinds import AUTOSCALER, DEPLOYMENT, SCALED_OBJECT, Kind
from forge_operator.cluster.reports import ReportUnavailable
from forge_operator.control.cache import Cache
from forge_operator.settings import Settings
from forge_operator.status.observed import Autoscaler, Observed, Report, is_ready, uid

_FRESH = timedelta(minutes=1)  # of a report: each resync asks anew, a burst of events does not


class PodReports(Protocol):
    """Reads what a pod says of itself."""

    async def fetch(self, pod: Manifest) -> Mapping[str, Any]: ...


class Observer:
    """Remembers what pods said: what a server loaded is the same until it is started again."""

    def __init__(
        self, cache: Cache, pods: PodReports, settings: Settings, kinds: Collection[Kind], now: Callable[[], datetime]
    ) -> None:
        self._cache, self._pods, self._settings, self._kinds, self._now = cache, pods, settings, kinds, now
        # By the pod's uid: its restarts, and when it said what. Whether its files are still there, it says when asked.
        self._reports: dict[str, tuple[int, datetime, Report]] = {}

    async def observe(self, model: Model) -> Observed:
        """What the cluster has of this model now."""
        pods = self._cache.pods(model.uid)
        deployment = self._child(DEPLOYMENT, model, child_name(model.name))
        current = [pod for pod in Observed(deployment, pods).current() if is_ready(pod)]
        asked = await asyncio.gather(*(self._report(pod) for pod in current))
        reports, errors = {}, {}
        for pod, answer in zip(current, asked, strict=True):
            if isinstance(answer, Report):
                reports[uid(pod)] = answer
            else:
                errors[uid(pod)] = answer
        return Observed(deployment, pods, reports, errors, self._autoscaler(model))

    def _autoscaler(self, model: Model) -> Autoscaler | None:
        if model.spec.autoscaling is None:
            return None
        backend, name = self._settings.autoscaling.backend, child_name(model.name)
        if backend != "keda":
            return Autoscaler(backend, self._child(AUTOSCALER, model, name) if backend == "hpa" else None)
        source = self._child(SCALED_OBJECT, model, name)
        # KEDA makes a HorizontalPodAutoscaler of its own, with the labels of the ScaledObject.
        made = (source or {}).get("status", {}).get("hpaName")
        hpa = self._child(AUTOSCALER, model, made) if made else None
        return Autoscaler(backend, hpa, source, is_installed=SCALED_OBJECT in self._kinds)

    def _child(self, kind: Kind, model: Model, name: str) -> Manifest | None:
        return self._cache.child(kind.name, model.namespace, name)

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


def _restarts(pod: Manifest) -> int:
    statuses = pod.get("status", {}).get("containerStatuses") or []
    return next((int(each.get("restartCount", 0)) for each in statuses if each.get("name") == SERVER), 0)
