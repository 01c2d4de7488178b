"""An API server in memory, for speed: it stores, versions, merges and refuses; it runs no controllers."""

import copy
import itertools
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

from forge_operator.api.v1alpha1 import Manifest
from forge_operator.children.shape import FIELD_MANAGER
from forge_operator.cluster.errors import ClusterError, Conflict, Missing
from forge_operator.cluster.kinds import DEPLOYMENT, MODEL, Kind
from forge_operator.control.cache import Id, id_of

Refusal = Callable[[str, Id], ClusterError | None]  # what to answer to a verb at a place, None: do it


class FakeCluster:
    """`writes` has verb and place of each write; `reads` of each get and list."""

    def __init__(self) -> None:
        self.objects: dict[Id, Manifest] = {}
        self.writes: list[tuple[str, Id]] = []
        self.reads: list[tuple[str, Id]] = []
        self.events: list[Manifest] = []
        self.refuse: Refusal = lambda verb, place: None
        self.mutate: Callable[[Manifest], None] = lambda thing: None  # an admission webhook
        self.holders: dict[Id, set[str]] = {}  # managers of a Deployment's replicas
        self._versions = itertools.count(1)

    def put(self, kind: str, thing: Mapping[str, Any]) -> Manifest:
        """As another client's write: with a new version, and a uid when it has none."""
        place = id_of(kind, thing)
        version = str(next(self._versions))
        stored = copy.deepcopy(dict(thing))
        stored["metadata"].setdefault("uid", f"uid-{version}")
        stored["metadata"]["resourceVersion"] = version
        self.objects[place] = stored
        return copy.deepcopy(stored)

    def edit(self, place: Id, change: Callable[[Manifest], None]) -> Manifest:
        """As another client's patch."""
        thing = copy.deepcopy(self.objects[place])
        change(thing)
        return self.put(place.kind, thing)

    def remove(self, place: Id) -> Manifest:
        """As another client's delete."""
        return self.objects.pop(place)

    def of(self, kind: Kind) -> list[Manifest]:
        return [thing for place, thing in self.objects.items() if place.kind == kind.name]

    async def get(self, kind: Kind, namespace: str, name: str, *, metadata_only: bool = False) -> Manifest | None:
        place = Id(kind.name, namespace, name)
        self.reads.append(("get", place))
        found = self.objects.get(place)
        if found is None:
            return None
        return copy.deepcopy({"metadata": found["metadata"]} if metadata_only else found)

    async def list(
        self, kind: Kind, namespace: str = "", selector: str = "", *, metadata_only: bool = False
    ) -> AsyncIterator[Manifest]:
        self.reads.append(("list", Id(kind.name, namespace, "")))
        key, _, value = selector.partition("=")
        for place, thing in list(self.objects.items()):
            labels = thing["metadata"].get("labels") or {}
            if place.kind == kind.name and namespace in ("", place.namespace) and labels.get(key, "") == value:
                whole = {"apiVersion": kind.api_version, "kind": kind.name, **thing}
                yield copy.deepcopy({"metadata": thing["metadata"]} if metadata_only else whole)

    async def apply(
        self, manifest: Manifest, uid: str | None = None, *, manager: str = FIELD_MANAGER, force: bool = True
    ) -> Manifest:
        place = id_of(manifest["kind"], manifest)
        known = self.objects.get(place)
        if known is not None and uid is None:
            raise Conflict("the object has been modified", 409)
        self._write("apply", place)
        if uid and (known is None or known["metadata"]["uid"] != uid):
            raise Conflict("the UID in the precondition does not match", 409)
        new = _merged(known or {}, manifest)
        if place.kind == DEPLOYMENT.name:
            self._keep_replicas(place, new, manifest, manager, force=force)
        self.mutate(new)
        return self.put(manifest["kind"], new)

    def _keep_replicas(self, place: Id, new: Manifest, manifest: Manifest, manager: str, *, force: bool) -> None:
        """The one field that passes from us to others: whoever sends it holds it, and with the last one it goes."""
        before = self.objects.get(place, {}).get("spec", {}).get("replicas")
        holders, sent = self.holders.setdefault(place, set()), manifest["spec"].get("replicas")
        if sent is None:
            was_last = holders == {manager}
            holders.discard(manager)
            if was_last or before is None:
                new["spec"]["replicas"] = 1
        elif before != sent and holders - {manager} and not force:
            raise Conflict("Apply failed with 1 conflict", 409)
        else:
            self.holders[place] = {manager} if before != sent else holders | {manager}

    async def scale(self, deployment: Manifest, replicas: int) -> None:
        place = id_of(DEPLOYMENT.name, deployment)
        self._write("scale", place)
        if self.objects[place]["metadata"]["resourceVersion"] != deployment["metadata"]["resourceVersion"]:
            raise Conflict("the object has been modified", 409)
        self.scaled_by("scale", place, replicas)

    def scaled_by(self, manager: str, place: Id, replicas: int) -> None:
        """As an autoscaler does it: the field is its own from then on."""
        self.holders[place] = {manager}
        self.edit(place, lambda thing: thing["spec"].update(replicas=replicas))

    async def apply_status(self, model: Manifest, status: Mapping[str, Any]) -> Manifest:
        place = id_of(MODEL.name, model)
        known = self.objects.get(place)
        self._write("status", place)
        if known is None:
            raise Missing("not found", 404)
        if known["metadata"]["uid"] != model["metadata"]["uid"]:
            raise Conflict("the UID in the precondition does not match", 409)
        return self.put(MODEL.name, {**known, "status": copy.deepcopy(dict(status))})

    async def tell(self, event: Manifest) -> None:
        if error := self.refuse("create", Id("Event", event["metadata"]["namespace"], event["reason"])):
            raise error
        self.events.append(event)

    async def delete(self, kind: Kind, namespace: str, name: str, uid: str) -> None:
        place = Id(kind.name, namespace, name)
        self._write("delete", place)
        if place in self.objects and self.objects[place]["metadata"]["uid"] != uid:
            raise Conflict("the UID in the precondition does not match", 409)
        self.objects.pop(place, None)

    def _write(self, verb: str, place: Id) -> None:
        if error := self.refuse(verb, place):
            raise error
        self.writes.append((verb, place))


def _merged(old: Any, new: Any) -> Any:
    """What server-side apply makes of two objects, as far as tests need it: maps merge, lists by name."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        return {**old, **{key: _merged(old.get(key), value) for key, value in new.items()}}
    if isinstance(old, list) and isinstance(new, list) and all(isinstance(i, Mapping) and "name" in i for i in new):
        ours = {item["name"]: item for item in new}
        theirs = [item for item in old if item.get("name") not in ours]
        return [*new, *theirs]
    return copy.deepcopy(new)
