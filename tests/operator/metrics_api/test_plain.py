"""The port without TLS: what KEDA reads, and that it learns nothing where nothing is known."""

import time
from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from forge_operator.metrics_api.exposition import read
from forge_operator.metrics_api.metrics import Metrics
from forge_operator.metrics_api.plain import application
from forge_operator.metrics_api.samples import Samples
from tests.operator.metrics_api.test_samples import a_pod
from tests.support.expositions import Exposition

VALUE = "/v1/models/lab/hbb/forge_queue_depth"
Client = TestClient[web.Request, web.Application]


@pytest.fixture
def samples() -> Samples:
    return Samples()


@pytest.fixture
async def client(samples: Samples) -> AsyncIterator[Client]:
    metrics = Metrics()
    metrics.watch(pods=lambda: len(samples.pods()), fresh=lambda metric: samples.fresh(metric, time.monotonic()))
    app = application(samples, metrics, lambda: None, lambda: "no certificate yet")
    async with TestClient(TestServer(app)) as found:
        yield found


def said(samples: Samples, name: str, waiting: float) -> None:
    samples.put(a_pod(name))
    samples.add(a_pod(name), read(Exposition(waiting=waiting).text), time.monotonic())


async def test_a_models_value_is_the_mean_with_the_sum_beside_it(samples: Samples, client: Client) -> None:
    said(samples, "hbb-1", 2)
    said(samples, "hbb-2", 4)
    async with client.get(VALUE) as answer:
        found = await answer.json()
    assert (found["value"], found["sum"], found["pods"]) == (3, 6, 2)
    assert 0 <= found["ageSeconds"] < 30


@pytest.mark.parametrize(
    ("path", "code", "words"),
    [
        ("/v1/models/lab/hbb/cpu", 404, "there is no metric cpu"),
        ("/v1/models/lab/other/forge_queue_depth", 404, "no pod of the model lab/other is ready"),
        ("/v1/models/other/hbb/forge_queue_depth", 404, "no pod of the model other/hbb is ready"),
        (VALUE, 503, "not every ready pod of the model lab/hbb has a fresh forge_queue_depth"),
        ("/v1/models/lab/hbb/forge_gpu_memory_percent", 503, "forge_gpu_memory_percent"),
    ],
)
async def test_what_is_not_known_is_an_error_and_never_zero(
    samples: Samples, client: Client, path: str, code: int, words: str
) -> None:
    said(samples, "hbb-1", 2)
    samples.put(a_pod("hbb-2"))  # ready, and not asked yet
    async with client.get(path) as answer:
        assert answer.status == code
        assert words in (await answer.json())["error"]


async def test_probes_say_what_is_wrong(client: Client) -> None:
    async with client.get("/livez") as answer:
        assert answer.status == 200
    async with client.get("/readyz") as answer:
        assert (answer.status, await answer.text()) == (503, "no certificate yet\n")


async def test_our_own_figures_are_for_prometheus(samples: Samples, client: Client) -> None:
    said(samples, "hbb-1", 2)
    async with client.get("/metrics") as answer:
        text = await answer.text()
    assert "forge_metrics_api_pods 1.0" in text
    assert 'forge_metrics_api_samples{metric="forge_queue_depth"} 1.0' in text
    assert 'forge_metrics_api_samples{metric="forge_gpu_memory_percent"} 0.0' in text


async def test_custom_metrics_are_not_served_without_tls(client: Client) -> None:
    async with client.get("/apis/custom.metrics.k8s.io/v1beta2") as answer:
        assert answer.status == 404
