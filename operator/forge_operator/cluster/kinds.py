"""Where the API server keeps each kind of object that the operator reads or writes."""

from dataclasses import dataclass
from typing import Final

from forge_operator.api.v1alpha1 import GROUP, KIND, PLURAL, VERSION


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of namespaced object; `group` is empty for the core API."""

    name: str
    group: str
    version: str
    plural: str

    @property
    def api_version(self) -> str:
        """As manifests write it."""
        return f"{self.group}/{self.version}" if self.group else self.version

    def path(self, namespace: str = "", name: str = "", subresource: str = "") -> str:
        """URL path of one object, of all in a namespace, or of all in the cluster."""
        root = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        parts = [f"namespaces/{namespace}" if namespace else "", self.plural, name, subresource]
        return "/".join([root, *filter(None, parts)])


MODEL: Final = Kind(KIND, GROUP, VERSION, PLURAL)
POD: Final = Kind("Pod", "", "v1", "pods")
EVENT: Final = Kind("Event", "events.k8s.io", "v1", "events")
LEASE: Final = Kind("Lease", "coordination.k8s.io", "v1", "leases")
# What the metrics server keeps its certificate in, who may speak for users, and where it is registered.
SECRET: Final = Kind("Secret", "", "v1", "secrets")
CONFIG_MAP: Final = Kind("ConfigMap", "", "v1", "configmaps")
API_SERVICE: Final = Kind("APIService", "apiregistration.k8s.io", "v1", "apiservices")

DEPLOYMENT: Final = Kind("Deployment", "apps", "v1", "deployments")
AUTOSCALER: Final = Kind("HorizontalPodAutoscaler", "autoscaling", "v2", "horizontalpodautoscalers")
SCALED_OBJECT: Final = Kind("ScaledObject", "keda.sh", "v1alpha1", "scaledobjects")

# What `children.desired` may return, by kind.
CHILDREN: Final = {
    kind.name: kind
    for kind in (
        Kind("ServiceAccount", "", "v1", "serviceaccounts"),
        Kind("NetworkPolicy", "networking.k8s.io", "v1", "networkpolicies"),
        Kind("Service", "", "v1", "services"),
        DEPLOYMENT,
        AUTOSCALER,
        SCALED_OBJECT,
        Kind("PodDisruptionBudget", "policy", "v1", "poddisruptionbudgets"),
    )
}

# Those whose definition is not Kubernetes' own: not every cluster has them.
OPTIONAL: Final = (SCALED_OBJECT,)
