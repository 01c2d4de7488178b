"""Is the installed CRD the one that this operator was written for?"""

from collections.abc import Iterator, Mapping
from typing import Any

from forge_operator.api.crd import definition
from forge_operator.api.v1alpha1 import VERSION, Manifest
from forge_operator.cluster.client import Client
from forge_operator.cluster.errors import Missing
from forge_operator.errors import OperatorError

_HOW = "run `kubectl apply --server-side -f crds/`, or `helm upgrade` with crds.install=true"


class CrdUnusable(OperatorError):
    """The administrator must install or upgrade the CRD; the message says how."""


async def check(client: Client) -> None:
    """Raises CrdUnusable when a field on which we rely is missing, and ClusterError when none can be read."""
    ours = definition()
    name = ours["metadata"]["name"]
    try:
        installed = await client.request("GET", f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{name}")
    except Missing as error:
        raise CrdUnusable(f"the CRD {name} is not installed: {_HOW}") from error
    lacking = sorted(set(_fields(_schema(ours))) - set(_fields(_schema(installed))))
    if lacking:
        raise CrdUnusable(
            f"the installed CRD {name} is older than this operator; it lacks {', '.join(lacking)}: {_HOW}"
        )


def _schema(definition: Manifest) -> Mapping[str, Any]:
    versions = definition["spec"]["versions"]
    found: Mapping[str, Any] = next((v["schema"]["openAPIV3Schema"] for v in versions if v["name"] == VERSION), {})
    return found


def _fields(schema: Mapping[str, Any], path: str = "") -> Iterator[str]:
    for name, part in (schema.get("properties") or {}).items():
        here = f"{path}.{name}" if path else name
        yield here
        yield from _fields(part, here)
    if "items" in schema:
        yield from _fields(schema["items"], f"{path}[]")
