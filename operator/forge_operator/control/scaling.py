"""The little that the operator itself does to the number of an autoscaled model's pods."""

from typing import Protocol

from forge_operator.api.parse import Model
from forge_operator.api.v1alpha1 import Manifest
from forge_operator.children.autoscaling import asked
from forge_operator.cluster.errors import Conflict, Missing
from forge_operator.errors import NotYet
from forge_operator.settings import Settings


class Scaler(Protocol):
    """The part of the client that this needs."""

    async def scale(self, deployment: Manifest, replicas: int) -> None: ...


async def lift(client: Scaler, model: Model, settings: Settings, live: Manifest | None) -> bool:
    """Give a model that must have a pod its first ones; whether it had none.

    A HorizontalPodAutoscaler leaves a Deployment of no pods alone, for ever. One is found when the model was stopped
    with `replicas: 0` before, or could be at 0 until its spec was edited.
    """
    wish = asked(model, settings)
    if wish is None or wish.min_replicas == 0 or live is None or live["spec"].get("replicas") != 0:
        return False
    await set_replicas(client, live, wish.min_replicas)
    return True


async def set_replicas(client: Scaler, live: Manifest, replicas: int) -> None:
    """Raises NotYet when somebody else was faster."""
    try:
        await client.scale(live, replicas)
    except (Conflict, Missing) as error:
        raise NotYet(str(error)) from error
