"""What the cluster looks like, as far as the watches have told."""

import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from forge_operator.api.v1alpha1 import KIND, Manifest
from forge_operator.children.shape import MODEL_ANNOTATION, MODEL_UID_LABEL
from forge_operator.cluster.kinds import MODEL, POD


class Key(NamedTuple):
    """A model's place, and what the queue holds."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


class Id(NamedTuple):
    """The place of an object of any kind."""

    kind: str
    namespace: str
    name: str


class Cache:
    """Models, their children and their pods. Fed by watches, by our own writes and by audits."""

    def __init__(self) -> None:
        self._objects: dict[Id, Manifest] = {}
        self._owned: defaultdict[str, set[Id]] = defaultdict(set)  # by the model's uid

    def put(self, kind: str, seen: Mapping[str, Any]) -> Key | None:
        """Take over what was seen, unless we know something newer; the model to look at, if there is one."""
        place = id_of(kind, seen)
        known = self._objects.get(place)
        if known is not None:
            if known["metadata"]["uid"] == seen["metadata"]["uid"] and _version(known) >= _version(seen):
                return None
            self._forget(place)
        kept = _slim(kind, seen)
        self._objects[place] = kept
        key, uid = _owner(kind, kept)
        if uid:
            self._owned[uid].add(place)
        return key

    def drop(self, kind: str, gone: Mapping[str, Any]) -> Key | None:
        """Forget what is no more; a later object of the same name stays."""
        place = id_of(kind, gone)
        known = self._objects.get(place)
        if known is not None and known["metadata"]["uid"] == gone["metadata"]["uid"]:
            self._forget(place)
        return _owner(kind, gone)[0]

    def _forget(self, place: Id) -> None:
        _, uid = _owner(place.kind, self._objects.pop(place))
        if uid:
            self._owned[uid].discard(place)
            if not self._owned[uid]:
                del self._owned[uid]

    def model(self, key: Key) -> Manifest | None:
        return self._objects.get(Id(MODEL.name, *key))

    def models(self) -> Iterable[Key]:
        """All models' places."""
        return [Key(place.namespace, place.name) for place in self._objects if place.kind == MODEL.name]

    def child(self, kind: str, namespace: str, name: str) -> Manifest | None:
        return self._objects.get(Id(kind, namespace, name))

    def children(self, uid: str) -> list[Id]:
        """Places of everything but pods that belongs to the model with this uid."""
        return [place for place in self._owned.get(uid, ()) if place.kind != POD.name]

    def pods(self, uid: str) -> list[Manifest]:
        """Pods of the model with this uid."""
        return [self._objects[place] for place in self._owned.get(uid, ()) if place.kind == POD.name]

    def owner(self, place: Id) -> Key | None:
        """The model whose turn a change at this place is."""
        thing = self._objects.get(place)
        return _owner(place.kind, thing)[0] if thing is not None else None

    def of_kind(self, kind: str) -> Iterator[tuple[Id, Manifest]]:
        """All objects of one kind; do not change the cache meanwhile."""
        return ((place, thing) for place, thing in self._objects.items() if place.kind == kind)


def id_of(kind: str, thing: Mapping[str, Any]) -> Id:
    """The place of an object."""
    return Id(kind, thing["metadata"]["namespace"], thing["metadata"]["name"])


def _owner(kind: str, thing: Mapping[str, Any]) -> tuple[Key | None, str]:
    """Whose turn a change of this object is, and the owner's uid (empty for models themselves)."""
    meta = thing["metadata"]
    if kind == MODEL.name:
        return Key(meta["namespace"], meta["name"]), ""
    for reference in meta.get("ownerReferences") or []:
        if reference.get("controller") and reference.get("kind") == KIND:
            return Key(meta["namespace"], reference["name"]), reference["uid"]
    name = (meta.get("annotations") or {}).get(MODEL_ANNOTATION)
    uid = (meta.get("labels") or {}).get(MODEL_UID_LABEL, "")
    return (Key(meta["namespace"], name) if name else None), uid


def _slim(kind: str, thing: Mapping[str, Any]) -> Manifest:
    """Only what is looked at: with many models, memory is mostly this."""
    meta = {key: value for key, value in thing["metadata"].items() if key != "managedFields"}
    if kind == POD.name:
        node = {"nodeName": name} if (name := thing.get("spec", {}).get("nodeName")) else {}
        return _interned({"metadata": meta, "spec": node, "status": thing.get("status", {})})
    return _interned({**thing, "metadata": meta})


def _interned(thing: Mapping[str, Any]) -> Manifest:
    """The same, with one copy of each text in memory: every answer that was parsed brought its own."""
    return {sys.intern(key): _interned_value(value) for key, value in thing.items()}


def _interned_value(value: Any) -> Any:
    if isinstance(value, str):
        return sys.intern(value)
    if isinstance(value, Mapping):
        return _interned(value)
    if isinstance(value, list):
        return [_interned_value(part) for part in value]
    return value


def _version(thing: Mapping[str, Any]) -> int:
    # Resource versions of one resource may be compared as numbers (KEP-5504).
    return int(thing["metadata"].get("resourceVersion") or 0)
