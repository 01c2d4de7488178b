"""Where the server's container has the model's files: on claims, in ConfigMaps, or fetched before it starts."""

from forge_operator.api.parse import Model
from forge_operator.api.science import ConfigMapKey
from forge_operator.api.source import Source
from forge_operator.api.v1alpha1 import Manifest
from forge_operator.children import fetching

Held = ConfigMapKey | Source


def places(model: Model) -> dict[str, Held]:
    """What holds each file or folder, by the name of its place: a volume, which is mounted at /NAME."""
    spec = model.spec
    return {"checkpoint": spec.checkpoint, "base": spec.base_model, **spec.science.files}


def paths(model: Model) -> dict[str, str]:
    """Where the server finds each file or folder, by its place."""
    return {place: _path(place, held) for place, held in places(model).items()}


def _path(place: str, held: Held) -> str:
    if isinstance(held, ConfigMapKey):
        return f"/{place}/{held.key}"
    if not held.is_mounted:
        return fetching.folder(place)
    return f"/{place}/{held.path}" if held.path else f"/{place}"


def mounts(model: Model) -> list[Manifest]:
    """Of the server, read-only."""
    found = {place: f"/{place}" for place in _mounted(model)}
    if fetching.fetched(model):
        found["fetched"] = fetching.FETCHED
    return [{"name": name, "mountPath": path, "readOnly": True} for name, path in found.items()]


def volumes(model: Model) -> list[Manifest]:
    """Of the pod, but for what is fetched."""
    return [_volume(place, held) for place, held in _mounted(model).items()]


def _mounted(model: Model) -> dict[str, Held]:
    return {place: held for place, held in places(model).items() if isinstance(held, ConfigMapKey) or held.is_mounted}


def _volume(place: str, held: Held) -> Manifest:
    if isinstance(held, ConfigMapKey):
        # Optional: without it the kubelet would wait without a word; the server says what is missing.
        items = [{"key": held.key, "path": held.key}]
        return {"name": place, "configMap": {"name": held.name, "items": items, "optional": True}}
    return {"name": place, "persistentVolumeClaim": {"claimName": held.claim, "readOnly": True}}
