"""May this user read that metric? The API server is asked, as by Kubernetes' own servers, and believed for a while."""

import time
from dataclasses import dataclass

from forge_operator.api.v1alpha1 import Manifest
from forge_operator.cluster.client import Client
from forge_operator.metrics_api.trust import User

_PATH = "/apis/authorization.k8s.io/v1/subjectaccessreviews"
_YES_FOR, _NO_FOR = 30.0, 10.0  # seconds; an autoscaler asks every 15
_MOST = 10_000  # answers that are remembered


@dataclass(frozen=True, slots=True)
class Wish:
    """`metric` of `resource`, all in one namespace. As the API server's rules see it, the metric is a subresource."""

    namespace: str
    resource: str
    name: str
    metric: str


class Permissions:
    """What the API server said."""

    def __init__(self, client: Client, group: str) -> None:
        self._client, self._group = client, group
        self._said: dict[tuple[User, Wish], tuple[bool, float]] = {}

    async def granted(self, user: User, wish: Wish) -> bool:
        """Raises ClusterError when the API server does not say."""
        known = self._said.get((user, wish))
        if known and time.monotonic() < known[1]:
            return known[0]
        answer = await self._client.request("POST", _PATH, body=self._review(user, wish), timeout=5)
        allowed = answer.get("status", {}).get("allowed") is True
        if len(self._said) >= _MOST:
            self._said.clear()
        self._said[user, wish] = (allowed, time.monotonic() + (_YES_FOR if allowed else _NO_FOR))
        return allowed

    def _review(self, user: User, wish: Wish) -> Manifest:
        attributes = {
            "namespace": wish.namespace,
            "verb": "get",
            "group": self._group,
            "resource": wish.resource,
            "subresource": wish.metric,
            "name": wish.name,
        }
        spec = {
            "user": user.name,
            "uid": user.uid,
            "groups": list(user.groups),
            "extra": {key: list(values) for key, values in user.extra},
            "resourceAttributes": attributes,
        }
        return {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": spec}
