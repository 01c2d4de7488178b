"""From the body that the API server sent to a value that the rest of the operator can trust."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from forge_operator.api.v1alpha1 import Spec
from forge_operator.errors import InvalidSpec


@dataclass(frozen=True, slots=True)
class Model:
    """One ScientificModel: who it is and what it asks for."""

    namespace: str
    name: str
    uid: str
    generation: int
    spec: Spec


def parse(body: Mapping[str, Any]) -> Model:
    """Raise InvalidSpec, naming each field, when the body does not fit our types.

    The CRD refuses such a body; one can still arrive when the installed CRD is older than the operator.
    """
    try:
        spec = Spec.model_validate(body.get("spec") or {})
    except ValidationError as error:
        raise InvalidSpec("; ".join(_sentence(fault) for fault in error.errors())) from error
    meta = body["metadata"]
    return Model(meta["namespace"], meta["name"], meta["uid"], meta["generation"], spec)


def _sentence(fault: ErrorDetails) -> str:
    path = ".".join(["spec", *(str(part) for part in fault["loc"])])
    if fault["type"] == "extra_forbidden":
        return f"{path}: this version has no such field; remove it or correct its name"
    return f"{path}: {fault['msg'].removeprefix('Value error, ')}"
