"""What one model needs in its namespace. Pure: the same model and settings always give the same objects."""

from forge_operator.api.parse import Model
from forge_operator.api.v1alpha1 import Manifest
from forge_operator.children.access import network_policy, service, service_account
from forge_operator.children.autoscaling import asked, autoscaler, most_replicas
from forge_operator.children.deployment import deployment
from forge_operator.children.disruption import disruption_budget
from forge_operator.children.fetching import admit
from forge_operator.children.shape import with_intent
from forge_operator.settings import Settings

__all__ = ["desired"]


def desired(model: Model, settings: Settings) -> list[Manifest]:
    """All children, in the order in which to apply them.

    Raises InvalidSpec when the model asks for a profile that the administrator does not offer, SourceDenied when it
    names a source that is not allowed.
    """
    admit(model, settings.sources)
    children = [
        service_account(model),
        network_policy(model, settings),  # before the pods, so that none ever runs without it
        service(model),
        deployment(model, settings),
    ]
    if wish := asked(model, settings):
        children.append(autoscaler(model, wish, settings))
    if most_replicas(model, settings) > 1:
        children.append(disruption_budget(model))
    return [with_intent(child) for child in children]
