"""Which pods are ready, as the API server tells it: listed, watched, and again after what was missed."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest

from forge_operator.metrics_api.pods import Pods
from forge_operator.metrics_api.samples import Samples
from tests.support.api_server import ApiServer, Manifest, an_api_server


def a_manifest(name: str = "hbb-1", *, ready: bool = True, version: str = "1", **meta: Any) -> Manifest:
    return {
        "metadata": {
            "namespace": "lab",
            "name": name,
            "uid": f"uid-{name}",
            "resourceVersion": version,
            "labels": {"model": "hbb"},
            "annotations": {"serving.scientificllm.io/model": "hbb"},
            **meta,
        },
        "status": {"podIP": "10.0.0.7", "conditions": [{"type": "Ready", "status": str(ready)}]},
    }


@asynccontextmanager
async def following(*namespaces: str) -> AsyncIterator[tuple[ApiServer, Samples, Pods]]:
    async with an_api_server() as (server, client):
        samples = Samples()
        pods = Pods(client, samples, namespaces)
        server.put("/api/v1/pods/hbb-1", a_manifest())
        task = asyncio.create_task(pods.run())
        try:
            yield server, samples, pods
        finally:
            task.cancel()
            server.events.put_nowait(None)
            with suppress(asyncio.CancelledError):
                await task


async def until(truth: Callable[[], object]) -> None:
    async with asyncio.timeout(60):
        while not truth():  # noqa: ASYNC110 - a remote state: nothing here could tell us
            await asyncio.sleep(0.01)


def names(samples: Samples) -> list[str]:
    return sorted(pod.name for pod in samples.pods())


async def test_pods_are_known_as_soon_as_they_are_ready_and_no_longer() -> None:
    async with following() as (server, samples, pods):
        assert not pods.listed
        await until(lambda: names(samples) == ["hbb-1"])
        assert pods.listed
        [pod] = samples.pods()
        assert (pod.namespace, pod.address, pod.model, pod.labels) == ("lab", "10.0.0.7", "hbb", {"model": "hbb"})
        assert {query["labelSelector"] for query in server.queries} == {
            "app.kubernetes.io/managed-by=scientificllm-forge,app.kubernetes.io/component=inference"
        }

        def happens(kind: str, thing: Manifest) -> None:
            server.events.put_nowait({"type": kind, "object": thing})

        happens("ADDED", a_manifest("hbb-2", ready=False))
        happens("ADDED", a_manifest("hbb-3"))
        await until(lambda: names(samples) == ["hbb-1", "hbb-3"])
        happens("MODIFIED", a_manifest("hbb-2"))
        happens("MODIFIED", a_manifest("hbb-3", ready=False))
        await until(lambda: names(samples) == ["hbb-1", "hbb-2"])
        happens("MODIFIED", a_manifest("hbb-2", deletionTimestamp="2026-11-26T12:00:00Z"))
        await until(lambda: names(samples) == ["hbb-1"])
        happens("DELETED", a_manifest("hbb-1"))
        await until(lambda: names(samples) == [])


async def test_a_watch_goes_on_where_the_last_one_ended() -> None:
    async with following() as (server, samples, _):
        await until(lambda: names(samples) == ["hbb-1"])
        server.events.put_nowait({"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": "500"}}})
        server.events.put_nowait(None)
        await until(lambda: server.asked.count("WATCH /api/v1/pods") == 2)
        assert server.asked.count("GET /api/v1/pods") == 1
        assert server.queries[-1]["resourceVersion"] == "500"


async def test_what_the_server_has_forgotten_is_listed_again() -> None:
    async with following() as (server, samples, _):
        await until(lambda: names(samples) == ["hbb-1"])
        server.objects.clear()
        server.put("/api/v1/pods/hbb-9", a_manifest("hbb-9"))
        server.events.put_nowait({"type": "ERROR", "object": {"code": 410, "message": "too old"}})
        server.events.put_nowait(None)
        await until(lambda: names(samples) == ["hbb-9"])


async def test_while_the_server_refuses_the_pods_stay_known_and_the_permission_is_named(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with following() as (server, samples, _):
        await until(lambda: names(samples) == ["hbb-1"])
        said = 'pods is forbidden: User "me" cannot watch resource "pods" in API group "" at the cluster scope'
        server.refused["/api/v1/pods"] = (403, said)
        server.events.put_nowait(None)
        await until(lambda: 'cannot watch resource "pods"' in caplog.text)
        assert names(samples) == ["hbb-1"]
        assert "Grant it" in caplog.text


async def test_with_namespaces_each_is_asked_by_itself() -> None:
    async with following("lab", "other") as (server, _, pods):
        server.put("/api/v1/namespaces/lab/pods/hbb-1", a_manifest())
        await until(lambda: pods.listed)
        assert {"GET /api/v1/namespaces/lab/pods", "GET /api/v1/namespaces/other/pods"} <= set(server.asked)
        assert "GET /api/v1/pods" not in server.asked
