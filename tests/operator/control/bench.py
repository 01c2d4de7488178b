"""A cluster in memory, and an operator that sees it."""

import copy
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from forge_operator.api.v1alpha1 import Manifest
from forge_operator.cluster.kinds import CHILDREN, MODEL, POD
from forge_operator.control.cache import Cache, Id, Key
from forge_operator.control.metrics import Metrics
from forge_operator.control.reconcile import Reconciler
from tests.support.fake_cluster import FakeCluster
from tests.support.models import a_body, a_report, some_settings

KEY = Key("lab", "hbb-expert")
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

    def __init__(self, **spec: Any) -> None:
        self.cluster = FakeCluster()
        self.pods = Pods()
        self.cluster.put("ScientificModel", a_body(**spec))
        self.restart()

    def restart(self) -> None:
        """A new process that knows nothing but what it lists."""
        self.cache = Cache()
        self.now = NOW
        self.gives_way = False
        self.reconciler = Reconciler(
            self.cluster,
            self.cache,
            self.pods,
            some_settings(),
            Metrics(),
            lambda: self.now,
            lambda key: self.gives_way,
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
