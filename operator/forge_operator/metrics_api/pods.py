"""Which model pods are ready: a list, and a watch from there on, of each namespace that is served."""

import asyncio
import logging
import random
from collections.abc import Iterable

from forge_operator.api.v1alpha1 import Manifest
from forge_operator.children.shape import MANAGED_BY, MODEL_ANNOTATION
from forge_operator.cluster.client import Client
from forge_operator.cluster.errors import ClusterError, Unavailable
from forge_operator.cluster.kinds import POD
from forge_operator.metrics_api.samples import Pod, Samples

logger = logging.getLogger(__name__)

SELECTOR = f"{MANAGED_BY},app.kubernetes.io/component=inference"
_PAGE = "100"
_LONGEST_PAUSE = 30.0  # seconds between two tries while the API server does not answer


class Pods:
    """While the API server is silent, the pods that were known stay known: they are asked on, and answer or do not."""

    def __init__(self, client: Client, samples: Samples, namespaces: Iterable[str]) -> None:
        """No namespaces: the whole cluster."""
        self._client, self._samples = client, samples
        self._namespaces = list(namespaces) or [""]
        self._listed: set[str] = set()
        self.trouble = "pods are not listed yet"  # what kept us from it last; empty: nothing

    @property
    def listed(self) -> bool:
        """Whether we have known all pods once."""
        return len(self._listed) == len(self._namespaces)

    async def run(self) -> None:
        """For ever."""
        async with asyncio.TaskGroup() as group:
            for namespace in self._namespaces:
                group.create_task(self._follow(namespace))

    async def _follow(self, namespace: str) -> None:
        pause = 1.0
        while True:
            try:
                version = await self._list(namespace)
                pause = 1.0
                while version:
                    version = await self._watch(namespace, version)
            except ClusterError as error:
                self.trouble = f"pods cannot be listed and watched: {error}"
                logger.warning("%s", self.trouble)
                await asyncio.sleep(pause * random.uniform(0.5, 1))  # noqa: S311 - spreads load, hides nothing
                pause = min(_LONGEST_PAUSE, pause * 2)

    async def _list(self, namespace: str) -> str:
        """The version from which on to watch."""
        query = {"labelSelector": SELECTOR, "limit": _PAGE}
        found: list[Pod] = []
        while True:
            page = await self._client.request("GET", POD.path(namespace), query)
            found += map(_pod, filter(_ready, page["items"] or []))
            if not (token := page["metadata"].get("continue")):
                break
            query = {**query, "continue": token}
        self._samples.replace(namespace, found)
        self._listed.add(namespace)
        return str(page["metadata"]["resourceVersion"])

    async def _watch(self, namespace: str, version: str) -> str:
        """The version that was reached when the watch ended; empty: what lies between is lost, so list again."""
        async for event in self._client.watch(POD, namespace, SELECTOR, version):
            what = event["object"]
            match event["type"]:
                case "ERROR" if what.get("code") == 410:
                    return ""
                case "ERROR":
                    raise Unavailable(f"watch pods: {what.get('message')}", int(what.get("code") or 0))
                case "ADDED" | "MODIFIED" if _ready(what):
                    self._samples.put(_pod(what))
                case "ADDED" | "MODIFIED" | "DELETED":
                    self._samples.forget(what["metadata"]["namespace"], what["metadata"]["name"])
            version = str(what["metadata"]["resourceVersion"])
        return version


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
