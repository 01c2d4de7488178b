"""The API server as plain JSON. kubernetes.aio brings connections and credentials; we bring the paths."""

import json
import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlencode

import aiohttp
from kubernetes.aio import config
from kubernetes.aio.client import ApiClient, Configuration

from forge_operator.api.v1alpha1 import API_VERSION, Manifest
from forge_operator.children.shape import FIELD_MANAGER
from forge_operator.cluster.errors import Missing, Unavailable, from_answer
from forge_operator.cluster.kinds import CHILDREN, DEPLOYMENT, EVENT, MODEL, Kind
from forge_operator.errors import InvalidSettings

_TIMEOUT = 30.0  # seconds of one call; lists of many objects included
_PAGE = 100  # objects of one answer
_APPLY = "application/apply-patch+yaml"  # JSON is YAML
_MERGE = "application/merge-patch+json"
_METADATA = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1"
_METADATA_LIST = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
_CONNECTIONS = 64
# etcd's first revision, which no object has: an apply that insists on it can create, and change nothing.
_NEVER = "1"


class Client:
    """Every method raises `cluster.errors.ClusterError`."""

    def __init__(self, configuration: Configuration) -> None:
        configuration.connection_pool_maxsize = _CONNECTIONS
        # By default the connection looks for a .netrc file before each call. Kopf's connections do not either.
        configuration.client_session_kwargs = {"trust_env": False}
        self.configuration = configuration
        self._api = ApiClient(configuration)

    @classmethod
    async def connect(cls, kubeconfig: Path | None) -> Self:
        """With a kubeconfig file, or with the ServiceAccount of the pod that we run in.

        Raises InvalidSettings when there is neither.
        """
        configuration = Configuration()
        try:
            if kubeconfig:
                await config.load_kube_config(str(kubeconfig), client_configuration=configuration)
            else:
                config.load_incluster_config(client_configuration=configuration)
        except (config.ConfigException, OSError) as error:
            where = kubeconfig or "not inside a cluster: give --kubeconfig FILE"
            raise InvalidSettings(f"{where}: {error}") from error
        return cls(configuration)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._api.close()

    def tls(self) -> ssl.SSLContext:
        """How the API server proves itself, and we ourselves where that is by certificate."""
        context: ssl.SSLContext = self._api.rest_client.ssl_context
        return context

    async def authorization(self) -> str | None:
        """The present value of the Authorization header; tokens of pods are renewed from time to time."""
        headers: dict[str, str] = {}
        await self._api.update_params_for_auth(headers, [], ["BearerToken"], "", "GET", None)
        return headers.get("authorization")

    async def get(self, kind: Kind, namespace: str, name: str, *, metadata_only: bool = False) -> Manifest | None:
        """One object, or None."""
        try:
            accept = _METADATA if metadata_only else "application/json"
            return await self.request("GET", kind.path(namespace, name), accept=accept)
        except Missing:
            return None

    async def list(
        self, kind: Kind, namespace: str = "", selector: str = "", *, metadata_only: bool = False
    ) -> AsyncIterator[Manifest]:
        """All objects, page by page, so that never all of them are in memory as text."""
        accept = _METADATA_LIST if metadata_only else "application/json"
        async for items, _ in self.pages(kind.path(namespace), selector, accept=accept):
            for item in items:
                # The items of a list do not say what they are.
                yield {"apiVersion": kind.api_version, "kind": kind.name, **item}

    async def pages(
        self, path: str, selector: str, *, size: int = _PAGE, accept: str = "application/json"
    ) -> AsyncIterator[tuple[Sequence[Manifest], Manifest]]:
        """What a list has, `size` objects at a time, with the list's own metadata."""
        query = {"labelSelector": selector, "limit": str(size)}
        while True:
            page = await self.request("GET", path, query, accept=accept)
            # Of nothing, a list of metadata is null.
            yield page["items"] or [], page["metadata"]
            if not (token := page["metadata"].get("continue")):
                return
            query = {**query, "continue": token}

    async def apply(
        self, manifest: Manifest, uid: str | None = None, *, manager: str = FIELD_MANAGER, force: bool = True
    ) -> Manifest:
        """Server-side apply to the object that has this uid, or where there is none of this name. Else Conflict.

        Without `force` it is a Conflict too when another manager holds a field with another value.
        """
        meta = manifest["metadata"]
        guard = {"uid": uid} if uid else {"resourceVersion": _NEVER}
        body = {**manifest, "metadata": {**meta, **guard}}
        return await self._apply(CHILDREN[manifest["kind"]].path(meta["namespace"], meta["name"]), body, manager, force)

    async def scale(self, deployment: Manifest, replicas: int) -> None:
        """Set the number of a Deployment's pods, if it is still as it was seen. Else Conflict."""
        meta = deployment["metadata"]
        body = {"metadata": {"resourceVersion": meta["resourceVersion"]}, "spec": {"replicas": replicas}}
        path = DEPLOYMENT.path(meta["namespace"], meta["name"], "scale")
        await self.request("PATCH", path, {"fieldManager": FIELD_MANAGER}, body, content=_MERGE)

    async def apply_status(self, model: Manifest, status: Mapping[str, Any]) -> Manifest:
        """Write the status of this very model; one of the same name that came later is a Conflict."""
        meta = {key: model["metadata"][key] for key in ("namespace", "name", "uid")}
        body = {"apiVersion": API_VERSION, "kind": MODEL.name, "metadata": meta, "status": dict(status)}
        return await self._apply(MODEL.path(meta["namespace"], meta["name"], "status"), body)

    async def tell(self, event: Manifest) -> None:
        """Create an event."""
        await self.request("POST", EVENT.path(event["metadata"]["namespace"]), body=event)

    async def _apply(self, path: str, body: Manifest, manager: str = FIELD_MANAGER, force: bool = True) -> Manifest:
        query = {"fieldManager": manager, "force": str(force).lower(), "fieldValidation": "Strict"}
        return await self.request("PATCH", path, query, body, content=_APPLY)

    async def delete(self, kind: Kind, namespace: str, name: str, uid: str) -> None:
        """Delete exactly the object that has this uid. Gone already: fine; another one: Conflict."""
        options = {"preconditions": {"uid": uid}, "propagationPolicy": "Background"}
        try:
            await self.request("DELETE", kind.path(namespace, name), body=options)
        except Missing:
            return

    async def read(self, path: str, *, largest: int, timeout: float = _TIMEOUT) -> bytes:
        """What is at a path that does not answer JSON, such as a pod's proxy: `largest` bytes of it at most."""
        async with self._answer("GET", path, accept="*/*", timeout=timeout) as answer:
            text = await at_most(answer.content, largest)
            if answer.status != 200:
                raise from_answer(answer.status, text, f"GET {path}")
            return text

    async def request(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: Manifest | None = None,
        *,
        content: str = "application/json",
        accept: str = "application/json",
        timeout: float = _TIMEOUT,
    ) -> Manifest:
        """One call; the answer's JSON."""
        call = self._answer(method, path, query, body, content=content, accept=accept, timeout=timeout)
        async with call as answer:
            text = await answer.read()
            found = json.loads(text) if answer.status < 300 else None
            if not isinstance(found, dict):
                raise from_answer(answer.status, text, f"{method} {path}")
            return found

    @asynccontextmanager
    async def _answer(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None = None,
        body: Manifest | None = None,
        *,
        content: str = "application/json",
        accept: str = "application/json",
        timeout: float,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """The answer as it begins; what goes wrong until its end is an Unavailable."""
        headers = {"Accept": accept, "Content-Type": content, "User-Agent": FIELD_MANAGER}
        url = f"{self.configuration.host}{path}?{urlencode(query or {})}"
        try:
            await self._api.update_params_for_auth(headers, [], ["BearerToken"], path, method, body)
            answer = await self._api.call_api(method, url, headers, body, _request_timeout=timeout)
            async with answer.response as response:
                yield response
        except (TimeoutError, aiohttp.ClientError, OSError, ValueError) as error:
            raise Unavailable(f"{method} {path}: {str(error) or type(error).__name__}") from error


def in_url(address: str) -> str:
    """A host as URLs have it: an IPv6 address stands in brackets."""
    return f"[{address}]" if ":" in address else address


async def at_most(stream: aiohttp.StreamReader, largest: int) -> bytes:
    """The beginning of a body that somebody sends whom we do not trust to end."""
    text = await stream.read(largest)
    while len(text) < largest and (more := await stream.read(largest - len(text))):
        text += more
    return text
