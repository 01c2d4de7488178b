"""Which model pods are ready: a list, and a watch from there on, of each namespace that is served."""

import asyncio
from collections.abc import Iterable

from forge_operator.api.v1alpha1 import Manifest
from forge_operator.children.shape import MANAGED_BY, MODEL_ANNOTATION
from forge_operator.cluster.client import Client
from forge_operator.cluster.kinds import POD
from forge_operator.cluster.watch import Listed, Watch
from forge_operator.metrics_api.samples import Pod, Samples

SELECTOR = f"{MANAGED_BY},app.kubernetes.io/component=inference"


class Pods:
    """While the API server is silent, the pods that were known stay known: they are asked on, and answer or do not."""

    def __init__(self, client: Client, samples: Samples, namespaces: Iterable[str]) -> None:
        """No namespaces: the whole cluster."""
        self._samples = samples
        self._watches = {name: Watch(client, POD, name, SELECTOR) for name in (list(namespaces) or [""])}
        self._unlisted = set(self._watches)

    @property
    def listed(self) -> bool:
        """Whether we have known all pods once."""
        return not self._unlisted

    async def run(self) -> None:
        """For ever."""
        async with asyncio.TaskGroup() as group:
            for namespace, watch in self._watches.items():
                group.create_task(self._follow(namespace, watch))

    async def _follow(self, namespace: str, watch: Watch) -> None:
        async for news in watch.follow():
            if isinstance(news, Listed):
                self._samples.replace(namespace, [_pod(thing) for thing in news.things if _ready(thing)])
                self._unlisted.discard(namespace)
            elif _ready(news.thing) and not news.gone:
                self._samples.put(_pod(news.thing))
            else:
                self._samples.forget(news.thing["metadata"]["namespace"], news.thing["metadata"]["name"])


def _ready(manifest: Manifest) -> bool:
    conditions = manifest.get("status", {}).get("conditions") or []
    # A pod that drains still answers those who wait for it, and autoscalers do not count it any more.
    return "deletionTimestamp" not in manifest["metadata"] and any(
        each["type"] == "Ready" and each["status"] == "True" for each in conditions
    )


def _pod(manifest: Manifest) -> Pod:
    meta = manifest["metadata"]
    return Pod(
        namespace=meta["namespace"],
        name=meta["name"],
        uid=meta["uid"],
        address=str(manifest["status"].get("podIP") or ""),
        model=(meta.get("annotations") or {}).get(MODEL_ANNOTATION, ""),
        labels=meta.get("labels") or {},
    )
