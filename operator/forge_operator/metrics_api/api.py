"""custom.metrics.k8s.io, as the controller manager asks for it through the API server. JSON, whatever is accepted."""

import logging
import ssl
import time
from collections.abc import Awaitable, Callable

from aiohttp import web

from forge_operator.cluster.errors import ClusterError
from forge_operator.metrics_api import documents
from forge_operator.metrics_api.documents import GROUP, MODELS, PODS, VERSIONS, Document
from forge_operator.metrics_api.metrics import Metrics
from forge_operator.metrics_api.permission import Permissions, Wish
from forge_operator.metrics_api.samples import NAMES, Samples
from forge_operator.metrics_api.selectors import parse
from forge_operator.metrics_api.tls import Front
from forge_operator.metrics_api.trust import User

logger = logging.getLogger(__name__)

_USER: web.RequestKey[User] = web.RequestKey("user", User)
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class No(Exception):
    """An answer that is not 200."""

    def __init__(self, code: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.code, self.reason = code, reason


class Api:
    """Handlers. Who may ask is decided before them, in `_guarded`."""

    def __init__(self, samples: Samples, front: Front, permissions: Permissions, metrics: Metrics) -> None:
        self._samples, self._front, self._permissions, self._metrics = samples, front, permissions, metrics

    def application(self) -> web.Application:
        """For a site with TLS: without it nobody can prove who he is."""
        app = web.Application(middlewares=[self._guarded])
        fixed: dict[str, Document] = {
            "/apis": documents.groups(),
            f"/apis/{GROUP}": documents.group(),
            "/openapi/v2": documents.OPENAPI_V2,
            "/openapi/v3": documents.OPENAPI_V3,
            **{f"/apis/{GROUP}/{version}": documents.resources(version) for version in VERSIONS},
        }
        for path, document in fixed.items():
            app.router.add_get(path, _always(document))
        root = f"/apis/{GROUP}/{{version:{'|'.join(VERSIONS)}}}/namespaces/{{namespace}}"
        app.router.add_get(f"{root}/{PODS}/{{name}}/{{metric}}", self._pods)
        app.router.add_get(f"{root}/{MODELS}/{{name}}/{{metric}}", self._models)
        return app

    @web.middleware
    async def _guarded(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        try:
            request[_USER] = self._user(request)
            answer = await handler(request)
        except No as no:
            answer = web.json_response(documents.status(no.code, no.reason, str(no)), status=no.code)
        except web.HTTPException as error:  # of the router: no such path, no such method
            reason = "NotFound" if error.status == 404 else "MethodNotAllowed"
            answer = web.json_response(documents.status(error.status, reason, error.reason), status=error.status)
        except ClusterError as error:
            logger.warning("cannot tell whether %s may read %s: %s", request[_USER].name, request.path, error)
            answer = web.json_response(documents.status(503, "ServiceUnavailable", str(error)), status=503)
        self._metrics.requests.labels(str(answer.status)).inc()
        if not self._front.current(_connection(request)):
            answer.force_close()  # made before the certificates changed: the next request shall prove itself anew
        return answer

    def _user(self, request: web.Request) -> User:
        trust = self._front.trust
        if trust is None or not trust.admits(_connection(request).getpeercert()):
            raise No(401, "Unauthorized", "ask through the API server: this server believes nobody else")
        if not (user := trust.user(request.headers.items())):
            raise No(401, "Unauthorized", "the API server does not say for whom it asks")
        return user

    async def _pods(self, request: web.Request) -> web.Response:
        version, namespace, name, metric = await self._wish(request, PODS)
        now = time.monotonic()
        try:
            matches = parse(request.query.get("labelSelector", ""))
            # Our metrics have no labels of their own; a selector that asks for one finds nothing.
            wanted = parse(request.query.get("metricLabelSelector", ""))({})
        except ValueError as error:
            raise No(400, "BadRequest", str(error)) from error
        if name == "*":
            found = list(self._samples.of_pods(namespace, matches, metric, now)) if wanted else []
            return web.json_response(documents.of_pods(version, metric, found))
        one = self._samples.of_pod(namespace, name, metric, now) if wanted else None
        if one is None:
            raise No(404, "NotFound", f"there is no fresh {metric} of the pod {namespace}/{name}")
        return web.json_response(documents.of_pods(version, metric, [one]))

    async def _models(self, request: web.Request) -> web.Response:
        version, namespace, name, metric = await self._wish(request, MODELS)
        found = self._samples.of_model(namespace, name, metric, time.monotonic())
        if found is None:
            raise No(404, "NotFound", f"not every ready pod of the model {namespace}/{name} has a fresh {metric}")
        return web.json_response(documents.of_model(version, metric, namespace, name, found))

    async def _wish(self, request: web.Request, resource: str) -> tuple[str, str, str, str]:
        """What is asked for, once it is clear that it may be."""
        user, asked = request[_USER], request.match_info
        version, namespace, name, metric = (asked[key] for key in ("version", "namespace", "name", "metric"))
        if not await self._permissions.granted(user, Wish(namespace, resource, name, metric)):
            raise No(
                403,
                "Forbidden",
                f'User "{user.name}" cannot get resource "{resource}/{metric}" in API group "{GROUP}"'
                f' in the namespace "{namespace}"',
            )
        if metric not in NAMES:
            raise No(404, "NotFound", f"there is no metric {metric[:100]}; there are {', '.join(NAMES)}")
        return version, namespace, name, metric


def _always(document: Document) -> _Handler:
    async def handle(_: web.Request) -> web.StreamResponse:
        return web.json_response(document)

    return handle


def _connection(request: web.Request) -> ssl.SSLObject:
    assert request.transport is not None  # noqa: S101 - a request that is being answered has one
    found: ssl.SSLObject = request.transport.get_extra_info("ssl_object")
    return found
