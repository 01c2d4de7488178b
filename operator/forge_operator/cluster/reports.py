"""What a model pod says about itself, read from its admin port."""

import json
import os
from pathlib import Path
from typing import Any, Literal

import aiohttp

from forge_operator.api.v1alpha1 import Manifest
from forge_operator.children.shape import ADMIN_PORT
from forge_operator.cluster.client import Client, at_most, in_url
from forge_operator.cluster.errors import ClusterError
from forge_operator.cluster.kinds import POD
from forge_operator.errors import OperatorError

_TIMEOUT = 5.0  # seconds
_LARGEST = 256 * 1024  # bytes; a report has about 500


Way = Literal["direct", "proxy"]


def way_to_pods(access: Literal["auto", "direct", "proxy"], kubeconfig: Path | None) -> Way:
    """As the administrator says; `auto`: at their own addresses, which are reached from inside a cluster alone."""
    if access != "auto":
        return access
    return "direct" if kubeconfig is None and "KUBERNETES_SERVICE_HOST" in os.environ else "proxy"


class ReportUnavailable(OperatorError):
    """The pod gives no report now; the message says why and does not change from try to try."""


class Reports:
    """Reads reports, directly from the pod or through the API server."""

    def __init__(self, client: Client, way: Way) -> None:
        self._client = client
        self._fetch = self._directly if way == "direct" else self._through_the_api_server
        self._pods = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_TIMEOUT))

    async def close(self) -> None:
        await self._pods.close()

    async def fetch(self, pod: Manifest) -> dict[str, Any]:
        """The report as the pod wrote it. Raises ReportUnavailable."""
        report = await self._fetch(pod)
        if not isinstance(report, dict):
            raise ReportUnavailable("the pod answered something that is no report")
        return report

    async def _directly(self, pod: Manifest) -> object:
        address = str(pod.get("status", {}).get("podIP") or "")
        if not address:
            raise ReportUnavailable("the pod has no address yet")
        try:
            async with self._pods.get(f"http://{in_url(address)}:{ADMIN_PORT}/report") as answer:
                if answer.status != 200:
                    raise ReportUnavailable(f"the pod answered {answer.status}")
                return json.loads(await at_most(answer.content, _LARGEST))
        except (ValueError, RecursionError) as error:
            raise ReportUnavailable("the pod answered something that is not JSON") from error
        except TimeoutError as error:
            raise ReportUnavailable(f"no answer within {_TIMEOUT:g} s from port {ADMIN_PORT}") from error
        except (aiohttp.ClientError, OSError) as error:
            raise ReportUnavailable(
                f"port {ADMIN_PORT} of the pod cannot be reached ({type(error).__name__})"
            ) from error

    async def _through_the_api_server(self, pod: Manifest) -> object:
        meta = pod["metadata"]
        path = POD.path(meta["namespace"], f"{meta['name']}:{ADMIN_PORT}", "proxy/report")
        try:
            return await self._client.request("GET", path, timeout=_TIMEOUT)
        except ClusterError as error:
            # The server's own words name the pod, which would make every pod's message another one.
            raise ReportUnavailable(f"the API server's proxy answered {error.code or 'nothing'}") from error
