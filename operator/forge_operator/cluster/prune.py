"""Removal of children that a model no longer wants."""

from collections.abc import AsyncIterator, Collection
from typing import Protocol

from forge_operator.api.parse import Model
from forge_operator.api.v1alpha1 import Manifest
from forge_operator.children.shape import MODEL_UID_LABEL
from forge_operator.cluster.apply import is_ours
from forge_operator.cluster.errors import Conflict
from forge_operator.cluster.kinds import CHILDREN, Kind


class Remover(Protocol):
    """The part of the client that this needs."""

    def list(
        self, kind: Kind, namespace: str = "", selector: str = "", *, metadata_only: bool = False
    ) -> AsyncIterator[Manifest]: ...

    async def delete(self, kind: Kind, namespace: str, name: str, uid: str) -> None: ...


async def prune(client: Remover, model: Model, kind_name: str, keep: Collection[str]) -> list[Manifest]:
    """Delete the model's objects of one kind whose names are not in `keep`; those that were deleted.

    What to delete is decided from a live list, never from a cache, and tied to the object's uid.
    """
    kind = CHILDREN[kind_name]
    selector = f"{MODEL_UID_LABEL}={model.uid}"
    deleted = []
    async for live in client.list(kind, model.namespace, selector, metadata_only=True):
        meta = live["metadata"]
        if meta["name"] in keep or "deletionTimestamp" in meta or not is_ours(live, model.uid):
            continue
        try:
            await client.delete(kind, model.namespace, meta["name"], meta["uid"])
        except Conflict:
            continue  # another object has the name by now: not the one that we looked at
        deleted.append(live)
    return deleted
