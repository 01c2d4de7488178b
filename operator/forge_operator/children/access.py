"""How a model's pods are reached, and what they may reach: nothing, unless they fetch their files."""

from typing import Any

from forge_operator.api.parse import Model
from forge_operator.api.v1alpha1 import Manifest
from forge_operator.children.fetching import fetched
from forge_operator.children.shape import ADMIN_PORT, HTTP_PORT, SERVICE_PORT, metadata, selector
from forge_operator.settings import Settings, Sources

# Where clouds answer with the node's own credentials; and its like in IPv6.
_LINK_LOCAL = {"0.0.0.0/0": "169.254.0.0/16", "::/0": "fe80::/10"}


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
            **({"egress": _egress(settings.sources)} if fetched(model) else {}),
        },
    }


def _egress(sources: Sources) -> list[dict[str, Any]]:
    """Names and the administrator's ports. A policy is the whole pod's: the server has it too, and asks for nothing."""
    outside = [{"ipBlock": {"cidr": every, "except": [one]}} for every, one in _LINK_LOCAL.items()]
    return [
        # Anywhere: a node's own DNS cache has a link-local address.
        {"ports": [{"port": 53, "protocol": protocol} for protocol in ("UDP", "TCP")]},
        {
            # Pods are named besides: some network plugins do not count them among addresses.
            "to": [*outside, {"namespaceSelector": {}}],
            "ports": [{"port": port, "protocol": "TCP"} for port in sources.ports],
        },
    ]


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
