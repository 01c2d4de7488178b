"""Kubernetes' own schemas for kubeconform, from the source that the programs here are built from; and KEDA's."""

import json
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from tests.harness import places, toolchain
from tests.harness.steps import step

Schema = dict[str, Any]
TEMPLATE = "{{.ResourceKind}}{{.KindSuffix}}.json"  # in kubeconform's words: deployment-apps-v1.json
_REF = "#/definitions/"
_KINDS = "x-kubernetes-group-version-kind"


def folder() -> Path:
    """A cached folder with one file for each kind. A field that Kubernetes does not know is an error.

    Raises
    ------
    HarnessError
        The source is not there and cannot be had.
    """
    path = places.cached("schemas", toolchain.KUBERNETES)
    if not path.exists():
        with step("writing Kubernetes' schemas"):
            source = toolchain.source_of("k8s.io/kubernetes", "kubernetes") / "api/openapi-spec/swagger.json"
            path.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=path.parent) as scratch:
                whole = Path(scratch) / "whole"
                whole.mkdir()
                for name, schema in each(json.loads(source.read_text())["definitions"]):
                    (whole / name).write_text(json.dumps(schema))
                whole.rename(path)
    return path


def keda() -> Schema:
    """KEDA's own definition of ScaledObject: a CustomResourceDefinition.

    Raises
    ------
    HarnessError
        The source is not there and cannot be had.
    """
    source = toolchain.source_of("github.com/kedacore/keda/v2", "keda")
    return dict(yaml.safe_load((source / "config/crd/bases/keda.sh_scaledobjects.yaml").read_text()))


def each(definitions: Mapping[str, Schema]) -> Iterator[tuple[str, Schema]]:
    """File name and schema of every kind, complete in itself."""
    strict = {name: _strict(schema) for name, schema in definitions.items()}
    for name, schema in strict.items():
        for kind in schema.get(_KINDS, []):
            group = f"{kind['group'].partition('.')[0]}-" if kind["group"] else ""
            needed = {other: strict[other] for other in _needed(name, strict, set())}
            yield f"{kind['kind'].lower()}-{group}{kind['version']}.json", {"$ref": _REF + name, "definitions": needed}


def _strict(part: Any) -> Any:
    """The same, closed to unknown fields and open to numbers where Kubernetes takes them for text."""
    if isinstance(part, list):
        return [_strict(each) for each in part]
    if not isinstance(part, dict):
        return part
    if part.get("format") == "int-or-string" or "Quantity" in str(part.get("$ref")):
        return {"type": ["string", "number"]}
    found = {name: _strict(value) for name, value in part.items()}
    if isinstance(part.get("properties"), dict) and part.get("type", "object") == "object":
        found.setdefault("additionalProperties", False)
    return found


def _needed(name: str, definitions: Mapping[str, Schema], known: set[str]) -> set[str]:
    known.add(name)
    for other in set(_references(definitions[name])) - known:
        _needed(other, definitions, known)
    return known


def _references(part: Any) -> Iterator[str]:
    if isinstance(part, dict):
        if isinstance(part.get("$ref"), str):
            yield part["$ref"].removeprefix(_REF)
        part = list(part.values())
    if isinstance(part, list):
        for each in part:
            yield from _references(each)
