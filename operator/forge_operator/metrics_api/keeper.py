"""Keeps the certificate in a Secret that all replicas share, and the API server's trust in step with it.

Order matters: the API server is told of a new authority first, and what it proves is served a look later.
"""

import base64
import logging
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final

from forge_operator.api.v1alpha1 import Manifest
from forge_operator.cluster.client import Client
from forge_operator.cluster.errors import Conflict
from forge_operator.cluster.kinds import API_SERVICE, SECRET
from forge_operator.errors import OperatorError
from forge_operator.metrics_api.certificates import Pair, issued, living, usable

logger = logging.getLogger(__name__)

_MERGE = "application/merge-patch+json"
_MANAGER: Final = {"fieldManager": "scientificllm-forge-metrics-api"}
_AUTHORITIES = 3  # the present one, and those that some replica may still be served under
_CERTIFICATE, _KEY, _AUTHORITY = "tls.crt", "tls.key", "ca.crt"


class NotOurs(OperatorError):
    """Something is not as the chart makes it; the message says what, and what to do."""


class Keeper:
    """`service` is our own Service's name; the Secret is called like it, with `-tls`."""

    def __init__(self, client: Client, namespace: str, service: str, domain: str, api_services: Iterable[str]) -> None:
        self._client = client
        self._namespace, self._service, self._secret = namespace, service, f"{service}-tls"
        asked = f"{service}.{namespace}.svc"
        self._hosts = [asked, f"{service}.{namespace}", f"{asked}.{domain}"]
        self._api_services = tuple(api_services)

    async def look(self, *, serves: bool) -> Pair | None:
        """What to serve from now on; None: what is served already. Raises ClusterError and NotOurs.

        `serves`: something is served, which stays right for as long as the API server learns of another authority.
        """
        pair, bundle = await self._stored()
        known = [await self._trusted(name, bundle) for name in self._api_services]
        return pair if all(known) or not serves else None

    async def _stored(self) -> tuple[Pair, str]:
        """The pair in the Secret and the authorities to trust; made anew when it is missing or ends soon."""
        now = datetime.now(UTC)
        while True:
            secret = await self._client.get(SECRET, self._namespace, self._secret)
            if secret is None:
                raise NotOurs(f"the Secret {self._namespace}/{self._secret} is missing: `helm upgrade` makes it again")
            data = {key: base64.b64decode(value).decode() for key, value in (secret.get("data") or {}).items()}
            pair = Pair(*(data.get(key, "") for key in (_CERTIFICATE, _KEY, _AUTHORITY)))
            if usable(pair, self._hosts[0], now):
                return pair, pair.authority
            pair = issued(self._hosts, now)
            bundle = "".join([pair.authority, *living(data.get(_AUTHORITY, ""), now)][:_AUTHORITIES])
            try:
                await self._write(secret, {_CERTIFICATE: pair.certificate, _KEY: pair.key, _AUTHORITY: bundle})
            except Conflict:  # another replica was faster: its pair is as good
                continue
            logger.info("issued a certificate for %s", self._hosts[0])
            return Pair(pair.certificate, pair.key, bundle), bundle

    async def _write(self, secret: Manifest, data: dict[str, str]) -> None:
        change = {
            "metadata": {"resourceVersion": secret["metadata"]["resourceVersion"]},
            "data": {key: base64.b64encode(value.encode()).decode() for key, value in data.items()},
        }
        path = SECRET.path(self._namespace, self._secret)
        await self._client.request("PATCH", path, _MANAGER, change, content=_MERGE)

    async def _trusted(self, name: str, bundle: str) -> bool:
        """Whether the API server knew these authorities already; if not, it is told."""
        found = await self._client.get(API_SERVICE, "", name)
        if found is None:
            raise NotOurs(f"the APIService {name} is missing: `helm upgrade` makes it again")
        service = found["spec"].get("service") or {}
        if (service.get("namespace"), service.get("name")) != (self._namespace, self._service):
            raise NotOurs(
                f"the APIService {name} belongs to {service.get('namespace')}/{service.get('name')}: a cluster has one"
                " provider of custom metrics. Set autoscaling.backend to keda or none, or remove the other one and"
                " `helm upgrade`"
            )
        wanted = base64.b64encode(bundle.encode()).decode()
        if found["spec"].get("caBundle") == wanted:
            return True
        # The version guards against one that was taken over by somebody else since.
        change = {"metadata": {"resourceVersion": found["metadata"]["resourceVersion"]}, "spec": {"caBundle": wanted}}
        await self._client.request("PATCH", API_SERVICE.path(name=name), _MANAGER, change, content=_MERGE)
        logger.info("told the API server to trust the authority of %s", name)
        return False
