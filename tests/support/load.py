"""Our load generator as a pod: it asks the model through its Service, from where users are."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from tests.support.kube import Kube, Manifest
from tests.support.waiting import until

# The report for people ends up where a pod's last words are read; the figures have its log for themselves.
_PROGRAM = 'exec /opt/venv/bin/python -m forge_inference.load "$@" --json - 2>/dev/termination-log'
_STARTS_WITHIN = 60.0  # seconds


@dataclass(frozen=True)
class Load:
    """A load that is offered."""

    kube: Kube
    namespace: str
    name: str

    def figures(self, limit: float) -> dict[str, Any]:
        """What the generator measured, once it has ended. Raises AssertionError when it measured nothing."""
        until(lambda: self._ended() is not None, limit=limit, what=f"the load {self.name} to end", pause=0.5)
        ended = self._ended() or {}
        # 1 and 3 are verdicts over figures that were printed; 2 is that there are none.
        assert ended["exitCode"] in (0, 1, 3), ended
        return dict(json.loads(self.kube.ctl("logs", "-n", self.namespace, self.name)))

    def _ended(self) -> Manifest | None:
        [container] = self.kube.get("Pod", self.name, self.namespace)["status"]["containerStatuses"]
        ended: Manifest | None = container["state"].get("terminated")
        return ended

    def _begun(self) -> bool:
        found = self.kube.get("Pod", self.name, self.namespace)["status"].get("containerStatuses", [])
        return any("waiting" not in container["state"] for container in found)


@contextmanager
def offered(kube: Kube, namespace: str, image: str, url: str, *flags: str) -> Iterator[Load]:
    """`flags` as of `python -m forge_inference.load`; what has not ended at the end of the block is ended then."""
    name = f"load-{uuid4().hex[:6]}"
    kube.create(_pod(name, namespace, image, [url, *flags]))
    load = Load(kube, namespace, name)
    try:
        until(load._begun, limit=_STARTS_WITHIN, what=f"{name} to begin")
        yield load
    finally:
        kube.delete("Pod", name, namespace)


def _pod(name: str, namespace: str, image: str, words: list[str]) -> Manifest:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "terminationGracePeriodSeconds": 1,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 65532,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [
                {
                    "name": "load",
                    "image": image,
                    "command": ["sh", "-c", _PROGRAM, "load", *words],
                    # More than a model's pod asks for: a generator that lacks CPU time measures itself.
                    "resources": {"requests": {"cpu": "300m", "memory": "128Mi"}},
                    "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
                }
            ],
        },
    }
