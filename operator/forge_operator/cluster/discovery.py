"""Which kinds this cluster knows: those that an add-on brings may come and go."""

import asyncio
import logging
from collections.abc import Collection
from typing import Any, Protocol

from forge_operator.api.v1alpha1 import Manifest
from forge_operator.cluster.errors import ClusterError, Missing
from forge_operator.cluster.kinds import CHILDREN, MODEL, OPTIONAL, POD, Kind
from forge_operator.errors import OperatorError

logger = logging.getLogger(__name__)

_EVERY = 30.0  # seconds


class KindsChanged(OperatorError):
    """The definitions of an add-on came or went. A restart, which is cheap, begins or ends to watch its objects."""


class Asker(Protocol):
    """The part of the client that this needs."""

    async def request(self, method: str, path: str) -> Manifest: ...


async def known(client: Asker) -> tuple[Kind, ...]:
    """Every kind that we watch and that the API server serves. Raises ClusterError."""
    absent = [kind for kind in OPTIONAL if not await _is_served(client, kind)]
    return (MODEL, *(kind for kind in CHILDREN.values() if kind not in absent), POD)


async def await_change(client: Asker, before: Collection[Kind]) -> None:
    """Raise KindsChanged when another set of kinds is served than `before`."""
    while True:
        try:
            now = await known(client)
        except ClusterError as error:  # an API server that is away says nothing of what it serves
            logger.warning("discovery: %s", error)
        else:
            if changed := sorted(kind.name for kind in {*now} ^ {*before}):
                raise KindsChanged(f"{', '.join(changed)}: the cluster's definitions have changed; starting again")
        await asyncio.sleep(_EVERY)


async def _is_served(client: Asker, kind: Kind) -> bool:
    try:
        found = await client.request("GET", f"/apis/{kind.api_version}")
    except Missing:
        return False
    resources: list[dict[str, Any]] = found.get("resources") or []
    return any(each.get("name") == kind.plural for each in resources)
