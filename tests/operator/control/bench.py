"""A cluster in memory, and an operator that sees it."""

import copy
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Any

from forge_operator.api.v1alpha1 import Manifest
from forge_operator.cluster.kinds import CHILDREN, MODEL, POD, Kind
from forge_operator.control.cache import Cache, Id, Key
from forge_operator.control.metrics import Metrics
from forge_operator.control.observe import Observer
from forge_operator.control.reconcile import Reconciler
from tests.support.fake_cluster import FakeCluster
from tests.support.models import a_body, a_report, some_settings

KEY = Key("lab", "hbb-expert")
KINDS = (MODEL, *CHILDREN.values(), POD)
NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)


class Pods:
    """What pods say of themselves."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.answer: Mapping[str, Any] | Exception = a_report().model_dump(by_alias=True)

    async def fetch(self, pod: Manifest) -> Mapping[str, Any]:
        self.asked.append(pod["metadata"]["name"])
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


class Bench:
    """A cluster, and an operator that sees it."""

    def __init__(self, settings: Mapping[str, Any] | None = None, kinds: Collection[Kind] = KINDS, **spec: Any) -> None:
        self.settings, self.kinds = some_settings(**(settings or {})), kinds
        self.cluster = FakeCluster()
        self.pods = Pods()
        self.cluster.put("ScientificModel", a_body(**spec))
        self.restart()

    def restart(self) -> None:
        """A new process that knows nothing but what it lists."""
        self.cache = Cache()
        self.now = NOW
        self.gives_way = False
        self.again: list[float] = []  # seconds after which it wants to look again
        self.observer = Observer(self.cache, self.pods, self.settings, self.kinds, lambda: self.now)
        self.reconciler = Reconciler(
            self.cluster,
            self.cache,
            self.observer,
            self.settings,
            self.kinds,
            Metrics(),
            lambda: self.now,
            lambda key: self.gives_way,
            lambda key, delay: self.again.append(delay),
        )

    async def reconcile(self) -> None:
        """After the watches have told of everything."""
        for place, thing in self.cluster.objects.items():
            self.cache.put(place.kind, copy.deepcopy(thing))
        for kind in (*CHILDREN, "Pod", "ScientificModel"):
            for place, thing in list(self.cache.of_kind(kind)):
                if place not in self.cluster.objects:
                    self.cache.drop(kind, thing)
        await self.reconciler.reconcile(KEY)

    def model(self) -> Manifest:
        return self.cluster.objects[Id(MODEL.name, *KEY)]

    def condition(self, kind: str = "Ready") -> tuple[str, str]:
        found = next(c for c in self.model()["status"]["conditions"] if c["type"] == kind)
        return found["status"], found["reason"]

    def place(self, kind: str) -> Id:
        return Id(kind, "lab", "hbb-expert")

    def a_ready_pod(self, name: str = "pod-1", restarts: int = 0) -> None:
        """As a kubelet would have it, and the Deployment's status with it."""
        deployment = self.cluster.objects[self.place("Deployment")]
        template = deployment["spec"]["template"]["metadata"]
        self.cluster.put(
            POD.name,
            {
                "metadata": {"name": name, "namespace": "lab", **copy.deepcopy(template)},
                "status": {
                    "phase": "Running",
                    "conditions": [{"type": "Ready", "status": "True"}],
                    "containerStatuses": [{"name": "server", "restartCount": restarts, "state": {"running": {}}}],
                },
            },
        )
        count = dict.fromkeys(("replicas", "readyReplicas", "updatedReplicas"), len(self.cluster.of(POD)))
        self.cluster.edit(self.place("Deployment"), lambda d: d.update(status=count))
