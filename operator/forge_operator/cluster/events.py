"""Events about a model, as `kubectl describe` shows them. The API server forgets them after an hour."""

from datetime import UTC, datetime
from typing import Any

from forge_operator.api.fields import fitting
from forge_operator.api.v1alpha1 import API_VERSION, Manifest
from forge_operator.children.shape import FIELD_MANAGER
from forge_operator.cluster.kinds import EVENT, MODEL

_NOTE = 1024  # characters that the API server takes
_PREFIX = 200  # of a model's name, so that there is room for what makes an event's name unique


def event(model: Manifest, kind: str, reason: str, message: str, now: datetime) -> dict[str, Any]:
    """To be created once; its name is the API server's choice."""
    meta = model["metadata"]
    return {
        "apiVersion": EVENT.api_version,
        "kind": EVENT.name,
        "metadata": {"generateName": f"{meta['name'][:_PREFIX].rstrip('.-')}-", "namespace": meta["namespace"]},
        "eventTime": now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "reportingController": FIELD_MANAGER,
        "reportingInstance": FIELD_MANAGER,
        "action": "Reconcile",
        "type": kind,
        "reason": reason,
        "note": fitting(message, _NOTE),
        "regarding": {
            "apiVersion": API_VERSION,
            "kind": MODEL.name,
            "namespace": meta["namespace"],
            "name": meta["name"],
            "uid": meta["uid"],
        },
    }
