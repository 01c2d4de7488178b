"""The port without TLS: the kubelet's probes, our own figures, and KEDA's `metrics-api` trigger. Values only."""

import time
from collections.abc import Awaitable, Callable

from aiohttp import web

from forge_operator.handlers.probes import Trouble, answering, probe, text
from forge_operator.metrics_api.documents import age
from forge_operator.metrics_api.metrics import Metrics
from forge_operator.metrics_api.samples import NAMES, Samples


def application(samples: Samples, metrics: Metrics, not_alive: Trouble, not_ready: Trouble) -> web.Application:
    """KEDA keeps the replicas that there are while the answer is not 200."""
    app = answering({"/livez": probe(not_alive), "/readyz": probe(not_ready), "/metrics": text(metrics.text)})
    app.router.add_get("/v1/models/{namespace}/{name}/{metric}", _values(samples))
    return app


def _values(samples: Samples) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def handle(request: web.Request) -> web.Response:
        namespace, model, metric = (request.match_info[key] for key in ("namespace", "name", "metric"))
        if metric not in NAMES:
            return _no(404, f"there is no metric {metric[:100]}; there are {', '.join(NAMES)}")
        if not samples.serves(namespace, model):
            return _no(404, f"no pod of the model {namespace}/{model} is ready")
        found = samples.of_model(namespace, model, metric, time.monotonic())
        if found is None:
            return _no(503, f"not every ready pod of the model {namespace}/{model} has a fresh {metric}")
        # The mean is what a target of the model means; the sum is what KEDA divides by the replicas itself.
        values = {"value": found.mean, "sum": found.mean * found.pods}
        return web.json_response({**values, "pods": found.pods, "ageSeconds": age(found.oldest)})

    return handle


def _no(code: int, message: str) -> web.Response:
    return web.json_response({"error": message}, status=code)
