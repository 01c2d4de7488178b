"""Names, labels, annotations and ports: each is written here once."""

import hashlib
import json
import re
from typing import Any

from forge_operator.api.parse import Model
from forge_operator.api.v1alpha1 import API_VERSION, GROUP, KIND, Manifest

FIELD_MANAGER = "scientificllm-forge"
MODEL_UID_LABEL = f"{GROUP}/model-uid"
MODEL_ANNOTATION = f"{GROUP}/model"
INTENT_ANNOTATION = f"{GROUP}/intent"
MANAGED_BY = f"app.kubernetes.io/managed-by={FIELD_MANAGER}"  # a label selector: every child, and its pods

HTTP_PORT, ADMIN_PORT, SERVICE_PORT = 8000, 8081, 80

_PLAIN_NAME = re.compile(r"[a-z]([-a-z0-9]{0,50}[a-z0-9])?")
_PREFIX_LENGTH = 54  # and a dash and 8 hex digits: 63, the most a Service's name may have


def child_name(name: str) -> str:
    """The one name that all children of a model share: a DNS label that begins with a letter."""
    if _PLAIN_NAME.fullmatch(name):
        return name
    readable = re.sub(r"[^a-z0-9]+", "-", name).lstrip("-0123456789")[:_PREFIX_LENGTH].rstrip("-")
    return f"{readable or 'model'}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def selector(model: Model) -> dict[str, str]:
    """The immutable subset of the labels; never add to it."""
    return {MODEL_UID_LABEL: model.uid}


def labels(model: Model) -> dict[str, str]:
    """Labels of every child and pod. The model's full name is an annotation: it may not fit into a label."""
    key, manager = MANAGED_BY.split("=")
    return {
        **selector(model),
        "app.kubernetes.io/name": "scientificmodel",
        "app.kubernetes.io/instance": child_name(model.name),
        "app.kubernetes.io/component": "inference",
        key: manager,
    }


def metadata(model: Model) -> dict[str, Any]:
    """Metadata of every child. The garbage collector deletes children by the owner's uid."""
    return {
        "name": child_name(model.name),
        "namespace": model.namespace,
        "labels": labels(model),
        "annotations": {MODEL_ANNOTATION: model.name},
        "ownerReferences": [
            {
                "apiVersion": API_VERSION,
                "kind": KIND,
                "name": model.name,
                "uid": model.uid,
                "controller": True,
                "blockOwnerDeletion": True,
            }
        ],
    }


def with_intent(manifest: Manifest) -> Manifest:
    """The manifest with a hash of itself, so that one look at a live object tells what was applied."""
    annotations = {**manifest["metadata"]["annotations"], INTENT_ANNOTATION: digest(manifest)}
    return {**manifest, "metadata": {**manifest["metadata"], "annotations": annotations}}


def digest(value: object) -> str:
    """SHA-256 of the canonical JSON: the order of keys does not count."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()
