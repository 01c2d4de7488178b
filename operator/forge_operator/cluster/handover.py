"""How a Deployment's number of pods passes from us to an autoscaler."""

from typing import Protocol

from forge_operator.api.v1alpha1 import Manifest
from forge_operator.children.shape import FIELD_MANAGER
from forge_operator.cluster.errors import Conflict
from forge_operator.cluster.kinds import DEPLOYMENT

HOLDER = f"{FIELD_MANAGER}-handover"


class Writer(Protocol):
    """The part of the client that this needs."""

    async def apply(
        self, manifest: Manifest, uid: str | None = None, *, manager: str = FIELD_MANAGER, force: bool = True
    ) -> Manifest: ...


async def hand_over(client: Writer, child: Manifest, live: Manifest) -> None:
    """Let another manager hold `replicas` before we apply a Deployment without it.

    The API server sets a field back to its default, 1, when the last manager that sent it sends it no more.
    """
    if child["kind"] != DEPLOYMENT.name or "replicas" in child["spec"] or "replicas" not in live.get("spec", {}):
        return
    meta = live["metadata"]
    held = {
        "apiVersion": child["apiVersion"],
        "kind": child["kind"],
        "metadata": {"namespace": meta["namespace"], "name": meta["name"]},
        "spec": {"replicas": live["spec"]["replicas"]},
    }
    try:
        await client.apply(held, meta["uid"], manager=HOLDER, force=False)
    except Conflict:
        return  # somebody has set another number since: it is theirs already, and stays
