"""One namespace with models in it, and what tests ask about them."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Self
from uuid import uuid4

from forge_operator.children.shape import MODEL_UID_LABEL, child_name
from tests.support.kube import CHILDREN, SCIM, Kube, Manifest, a_manifest, claims
from tests.support.waiting import until

LIMIT = 90.0  # seconds for what should take one or two: the machine may be busy


@dataclass(frozen=True)
class Lab:
    """A namespace."""

    kube: Kube
    namespace: str

    @classmethod
    @contextmanager
    def created(cls, kube: Kube, labels: Mapping[str, str] | None = None) -> Iterator[Self]:
        """A namespace with claims `models` and `other`, deleted at the end without waiting for it."""
        name = f"lab-{uuid4().hex[:8]}"
        meta = {"name": name, "labels": dict(labels or {})}
        kube.create({"apiVersion": "v1", "kind": "Namespace", "metadata": meta})
        claims(kube, name, "models", "other")
        yield cls(kube, name)
        kube.delete("Namespace", name)

    def create(self, name: str = "hbb", **spec: Any) -> Manifest:
        return self.kube.create(a_manifest(name, self.namespace, **spec))

    def edit(self, name: str = "hbb", **spec: Any) -> Manifest:
        return self.kube.patch(SCIM, name, self.namespace, {"spec": spec})

    def model(self, name: str = "hbb") -> Manifest:
        return self.kube.get(SCIM, name, self.namespace)

    def child(self, kind: str, model: str = "hbb") -> Manifest | None:
        return self.kube.find(kind, child_name(model), self.namespace)

    def children(self, model: Manifest) -> dict[str, Manifest]:
        """Kind to object, of those labelled as this model's."""
        selector = f"{MODEL_UID_LABEL}={model['metadata']['uid']}"
        found = {kind: self.kube.list(kind, self.namespace, selector) for kind in CHILDREN}
        return {kind: objects[0] for kind, objects in found.items() if objects}

    def pods(self, model: Manifest) -> list[Manifest]:
        return self.kube.list("Pod", self.namespace, f"{MODEL_UID_LABEL}={model['metadata']['uid']}")

    def condition(self, kind: str, name: str = "hbb") -> tuple[str, str, str]:
        """Status, reason and message; empty strings while there is none."""
        return condition(self.model(name), kind)

    def awaits(self, kind: str, status: str, reason: str, name: str = "hbb", limit: float = LIMIT) -> str:
        """Wait until the condition says so about the present generation; its message."""

        def said() -> bool:
            model = self.model(name)
            current = model.get("status", {}).get("observedGeneration") == model["metadata"]["generation"]
            return current and condition(model, kind)[:2] == (status, reason)

        try:
            until(said, limit=limit, what=f"{kind}={status} {reason}")
        except Exception as error:
            error.add_note(f"it is {self.model(name).get('status')}")
            raise
        return self.condition(kind, name)[2]

    def ready(self, name: str = "hbb") -> Manifest:
        self.awaits("Ready", "True", "Serving", name)
        return self.model(name)

    def settled(self, name: str = "hbb") -> Manifest:
        """Wait until all pods run the present spec and status says so: nothing is left to write."""
        self.awaits("Progressing", "True", "RolledOut", name)
        return self.ready(name)

    def eventually(self, truth: Callable[[], object], what: str, limit: float = LIMIT) -> None:
        until(lambda: bool(truth()), limit=limit, what=what)


def condition(model: Manifest, kind: str) -> tuple[str, str, str]:
    found: list[dict[str, str]] = model.get("status", {}).get("conditions", [])
    one = next((each for each in found if each["type"] == kind), {})
    return one.get("status", ""), one.get("reason", ""), one.get("message", "")
