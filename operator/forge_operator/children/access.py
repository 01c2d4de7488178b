"""How a model's pods are reached, and what they may reach: nothing."""

from forge_operator.api.parse import Model
from forge_operator.api.v1alpha1 import Manifest
from forge_operator.children.shape import ADMIN_PORT, HTTP_PORT, SERVICE_PORT, metadata, selector
from forge_operator.settings import Settings


def service_account(model: Model) -> Manifest:
    """An identity with no permissions and no token: the namespace's default may have gathered some."""
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": metadata(model),
        "automountServiceAccountToken": False,
    }


def network_policy(model: Model, settings: Settings) -> Manifest:
    """Everyone may ask the model; only the operator and Prometheus may reach its admin port."""
    admitted = dict.fromkeys((settings.operator_namespace, *settings.metrics_namespaces))
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": metadata(model),
        "spec": {
            "podSelector": {"matchLabels": selector(model)},
            "ingress": [
                {"ports": [{"port": HTTP_PORT, "protocol": "TCP"}]},
                {
                    "from": [
                        {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}}}
                        for name in admitted
                    ],
                    "ports": [{"port": ADMIN_PORT, "protocol": "TCP"}],
                },
            ],
            # Egress without rules denies all. An empty list is not sent: the API server would not store it.
            "policyTypes": ["Ingress", "Egress"],
        },
    }


def service(model: Model) -> Manifest:
    """The model's address inside the cluster."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": metadata(model),
        "spec": {
            "type": "ClusterIP",
            "selector": selector(model),
            "ports": [{"name": "http", "port": SERVICE_PORT, "targetPort": "http", "protocol": "TCP"}],
        },
    }
