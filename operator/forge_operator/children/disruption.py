"""How many pods a node drain may take at once."""

from forge_operator.api.parse import Model
from forge_operator.api.v1alpha1 import Manifest
from forge_operator.children.shape import metadata, selector


def disruption_budget(model: Model) -> Manifest:
    """For models that may have more than one pod. It never blocks the drain of a single one."""
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": metadata(model),
        "spec": {
            "maxUnavailable": 1,
            "selector": {"matchLabels": selector(model)},
            # A pod that never became ready protects nobody, and must not hold up a drain.
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
        },
    }
