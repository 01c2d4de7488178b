"""Server-side apply of children: only what differs, and only to objects that are this model's."""

import logging
from collections.abc import Mapping
from typing import Any, Protocol

from forge_operator.api.parse import Model
from forge_operator.api.v1alpha1 import KIND, Manifest
from forge_operator.children.shape import FIELD_MANAGER, INTENT_ANNOTATION, digest
from forge_operator.cluster.errors import Conflict, Declined, Forbidden, Missing, Terminating
from forge_operator.cluster.handover import hand_over
from forge_operator.cluster.kinds import CHILDREN, Kind
from forge_operator.errors import ChildDeclined, NameConflict, NotYet

logger = logging.getLogger(__name__)

# What makes two items of a list the same item to the API server, in the order of preference.
_ITEM_KEYS = ("name", "containerPort", "port", "uid", "type", "mountPath")


class Writer(Protocol):
    """The part of the client that this needs."""

    async def get(self, kind: Kind, namespace: str, name: str, *, metadata_only: bool = False) -> Manifest | None: ...

    async def apply(
        self, manifest: Manifest, uid: str | None = None, *, manager: str = FIELD_MANAGER, force: bool = True
    ) -> Manifest: ...


class Applier:
    """Remembers what the API server would not take as we wrote it, so as not to write it for ever."""

    def __init__(self, client: Writer) -> None:
        self._client = client
        self._unfulfilled: dict[str, tuple[str, str]] = {}  # by uid: our intent, and what became of it

    async def apply(self, child: Manifest, model: Model, live: Manifest | None) -> Manifest | None:
        """Make the cluster hold the child; what the API server answered, or None when nothing was written.

        `live` is the object as last seen, None when none was.
        Raises NameConflict, NotYet, ChildDeclined, and ClusterError when it should simply be tried again.
        """
        if live is None:
            try:
                return await self._write(child)
            except Conflict as error:  # the watch shows only objects with our label, and those a moment later
                kind, meta = CHILDREN[child["kind"]], child["metadata"]
                live = await self._client.get(kind, meta["namespace"], meta["name"], metadata_only=True)
                if live is None:
                    raise NotYet(str(error)) from error
        _must_be_ours(child, model, live)
        if satisfied(child, live) or self._is_known_not_to_stick(child, live):
            return None
        try:
            await hand_over(self._client, child, live)
            return await self._write(child, live["metadata"]["uid"])
        except Conflict as error:
            raise NotYet(str(error)) from error

    async def _write(self, child: Manifest, uid: str | None = None) -> Manifest:
        try:
            applied = await self._client.apply(child, uid)
        except Terminating as error:
            namespace = child["metadata"]["namespace"]
            raise NotYet(f"Namespace {namespace!r} is being deleted.", retry_after=10) from error
        except Missing as error:
            raise NotYet(str(error)) from error
        except Forbidden as error:
            raise NotYet(f"The operator lacks a permission: {error}", retry_after=30) from error
        except Declined as error:
            raise ChildDeclined(f"The cluster declines the {child['kind']} of this model: {error}") from error
        self._remember(child, applied)
        return applied

    def _is_known_not_to_stick(self, child: Manifest, live: Manifest) -> bool:
        known = self._unfulfilled.get(live["metadata"]["uid"])
        return known == (_intent(child), _fingerprint(live))

    def _remember(self, child: Manifest, applied: Manifest) -> None:
        uid = applied["metadata"]["uid"]
        if satisfied(child, applied):
            self._unfulfilled.pop(uid, None)
            return
        meta = child["metadata"]
        logger.warning(
            "%s %s/%s: the cluster changed what we applied at %s; it is left so",
            *(child["kind"], meta["namespace"], meta["name"], difference(child, applied)),
        )
        self._unfulfilled[uid] = (_intent(child), _fingerprint(applied))


def satisfied(child: Manifest, live: Manifest) -> bool:
    """Whether the live object has all that we want of it. What others added is theirs.

    The annotation tells what we wanted at the last apply: a field that we want no longer changes it.
    """
    return difference(child, live) is None


def difference(wanted: Any, live: Any, path: str = "") -> str | None:
    """Path of the first place where `live` is not what is wanted, None when it is everywhere."""
    if isinstance(wanted, Mapping):
        if not isinstance(live, Mapping):
            return path or "."
        parts = ((f"{path}.{key}", value, live.get(key)) for key, value in wanted.items())
    elif isinstance(wanted, list):
        if not isinstance(live, list):
            return path
        key = _item_key(wanted)
        if key is None:
            return None if wanted == live else path
        present = {item.get(key): item for item in live if isinstance(item, Mapping)}
        parts = ((f"{path}[{item[key]}]", item, present.get(item[key])) for item in wanted)
    else:
        return None if wanted == live else path
    return next((found for where, part, there in parts if (found := difference(part, there, where))), None)


def is_ours(live: Manifest, uid: str) -> bool:
    """Whether an object's controller is the model with this uid. A label alone proves nothing."""
    return (_controller(live) or {}).get("uid") == uid


def _must_be_ours(child: Manifest, model: Model, live: Manifest) -> None:
    what = f"{child['kind']} {child['metadata']['name']!r}"
    if is_ours(live, model.uid):
        if "deletionTimestamp" in live["metadata"]:
            raise NotYet(f"The {what} is being deleted; it will be made again.")
        return
    owner = _controller(live) or {}
    if owner.get("kind") == KIND and owner.get("name") == model.name:
        raise NotYet(f"The {what} of the previous model of this name is being deleted.")
    belongs = f"belongs to {owner['kind']} {owner['name']!r}" if owner else "is not this model's"
    raise NameConflict(
        f"The {what} exists in namespace {model.namespace!r} and {belongs}; rename the model, or remove that object."
    )


def _controller(live: Manifest) -> dict[str, Any] | None:
    references: list[dict[str, Any]] = live["metadata"].get("ownerReferences") or []
    return next((each for each in references if each.get("controller")), None)


def _item_key(items: list[Any]) -> str | None:
    """None for a list of plain values, and for one in which two items have the same of all we could tell them by."""
    if not items or not all(isinstance(item, Mapping) for item in items):
        return None
    return next((key for key in _ITEM_KEYS if len({item[key] for item in items if key in item}) == len(items)), None)


def _intent(child: Manifest) -> str:
    return str(child["metadata"]["annotations"][INTENT_ANNOTATION])


def _fingerprint(live: Manifest) -> str:
    """Changes with what somebody may have edited, not with what controllers report."""
    changing = ("resourceVersion", "generation", "managedFields")
    kept = {key: value for key, value in live.items() if key not in ("status", "metadata", "kind", "apiVersion")}
    meta = {key: value for key, value in live["metadata"].items() if key not in changing}
    annotations = {key: value for key, value in (meta.get("annotations") or {}).items() if "deployment.kube" not in key}
    return digest({**kept, "metadata": {**meta, "annotations": annotations}})
