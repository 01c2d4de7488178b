"""Rounds over pods that answer, hang, fail and talk nonsense, over real connections."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from forge_operator.children.shape import ADMIN_PORT
from forge_operator.metrics_api import scrape
from forge_operator.metrics_api.metrics import Metrics
from forge_operator.metrics_api.samples import Samples
from forge_operator.metrics_api.scrape import Direct, Failed, Proxied, Scraper
from tests.operator.metrics_api.test_samples import a_pod
from tests.support.api_server import an_api_server
from tests.support.expositions import Exposition

QUEUE = "forge_queue_depth"
Answer = Callable[[web.Request], web.StreamResponse | None]  # None: never


class PodServer:
    """All pods of 127.0.0.0/8, by their addresses."""

    def __init__(self) -> None:
        self.answers: dict[str, Answer] = {}
        self.text = Exposition(waiting=3).text
        self.port = 0

    async def answer(self, request: web.Request) -> web.StreamResponse:
        assert request.transport
        answer = self.answers.get(request.transport.get_extra_info("sockname")[0])
        found = answer(request) if answer else web.Response(text=self.text)
        if found is None:
            await asyncio.Event().wait()
        assert found
        return found


@pytest.fixture
async def server() -> AsyncIterator[PodServer]:
    found = PodServer()
    app = web.Application()
    app.router.add_get("/metrics", found.answer)
    async with TestServer(app, host="0.0.0.0") as running:
        found.port = running.port or 0
        yield found


@pytest.fixture
async def direct(server: PodServer) -> AsyncIterator[Direct]:
    async with Direct(server.port) as found:
        yield found


def pods(samples: Samples, count: int) -> None:
    for number in range(1, count + 1):
        samples.put(a_pod(f"hbb-{number}", address=f"127.2.0.{number}"))


def value(samples: Samples, name: str) -> float | None:
    found = samples.of_pod("lab", name, QUEUE, time.monotonic())
    return found[1].value if found else None


def failures(metrics: Metrics, cause: str) -> float:
    return metrics.registry.get_sample_value("forge_metrics_api_scrape_failures_total", {"cause": cause}) or 0.0


async def test_every_ready_pod_is_asked(direct: Direct) -> None:
    samples, metrics = Samples(), Metrics()
    pods(samples, 5)
    scraper = Scraper(samples, direct, metrics)
    await scraper.round(spread=0)
    assert [value(samples, f"hbb-{number}") for number in range(1, 6)] == [3] * 5
    assert scraper.last_round > 0
    assert metrics.registry.get_sample_value("forge_metrics_api_round_seconds_count") == 1


async def test_a_pod_that_hangs_delays_no_other(
    server: PodServer, direct: Direct, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scrape, "PATIENCE", 1.0)
    samples, metrics = Samples(), Metrics()
    pods(samples, 20)
    for number in range(1, 11):
        server.answers[f"127.2.0.{number}"] = lambda _: None
    begun = time.monotonic()
    await Scraper(samples, direct, metrics).round(spread=0)
    assert time.monotonic() - begun < 9, "ten hang for a second each, all in the same second"
    assert [value(samples, f"hbb-{number}") for number in (1, 10, 11, 20)] == [None, None, 3, 3]
    assert failures(metrics, "timeout") == 10


@pytest.mark.parametrize(
    ("answer", "cause"),
    [
        (lambda _: web.Response(status=503), "status"),
        (lambda _: web.Response(status=302, headers={"Location": "http://127.0.0.1/"}), "status"),
        (lambda _: web.Response(body=b"\x1f\x8b" + bytes(500), headers={"Content-Encoding": "gzip"}), "unreadable"),
        (lambda _: web.Response(text="a" * 600_000), "too large"),
        (lambda _: web.Response(text="<html>"), "unreadable"),
        (lambda _: web.Response(text="forge_requests_waiting NaN"), "unreadable"),
    ],
)
async def test_a_pod_that_does_not_answer_well_gives_no_sample(
    server: PodServer, direct: Direct, answer: Answer, cause: str
) -> None:
    samples, metrics = Samples(), Metrics()
    pods(samples, 2)
    server.answers["127.2.0.1"] = answer
    await Scraper(samples, direct, metrics).round(spread=0)
    assert (value(samples, "hbb-1"), value(samples, "hbb-2")) == (None, 3)
    assert failures(metrics, cause) == 1


async def test_one_missed_answer_does_not_lose_the_last_one(server: PodServer, direct: Direct) -> None:
    samples, metrics = Samples(), Metrics()
    pods(samples, 1)
    scraper = Scraper(samples, direct, metrics)
    await scraper.round(spread=0)
    server.answers["127.2.0.1"] = lambda _: web.Response(status=500)
    await scraper.round(spread=0)
    assert value(samples, "hbb-1") == 3


async def test_trouble_is_told_when_it_begins_and_when_it_ends(
    server: PodServer, direct: Direct, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    samples, metrics = Samples(), Metrics()
    pods(samples, 1)
    scraper = Scraper(samples, direct, metrics)
    server.answers["127.2.0.1"] = lambda _: web.Response(status=500)
    for _ in range(3):
        await scraper.round(spread=0)
    server.answers.clear()
    for _ in range(2):
        await scraper.round(spread=0)
    told = [record.getMessage() for record in caplog.records if record.name == scrape.__name__]
    assert told == ["pod hbb-1 gives no metrics: status", "pod hbb-1 gives metrics again"]
    assert failures(metrics, "status") == 3


async def test_a_round_takes_its_time_so_that_pods_are_not_asked_all_at_once(direct: Direct) -> None:
    samples = Samples()
    pods(samples, 10)
    asked: list[float] = []

    class Noting:
        async def fetch(self, pod: object) -> str:
            asked.append(time.monotonic())
            raise Failed("status")

    await Scraper(samples, Noting(), Metrics()).round(spread=0.5)
    assert max(asked) - min(asked) > 0.4


async def test_a_pod_without_an_address_is_unreachable(direct: Direct) -> None:
    with pytest.raises(Failed, match="unreachable"):
        await direct.fetch(replace(a_pod(), address=""))
    async with Direct(9) as nobody:
        with pytest.raises(Failed, match="unreachable"):
            await nobody.fetch(replace(a_pod(), address="127.2.0.1"))


async def test_pods_can_be_asked_through_the_api_server(caplog: pytest.LogCaptureFixture) -> None:
    async with an_api_server() as (api, client):
        way = Proxied(client)
        path = f"/api/v1/namespaces/lab/pods/hbb-1:{ADMIN_PORT}/proxy/metrics"
        api.texts[path] = Exposition(waiting=4).text
        assert "forge_requests_waiting 4" in await way.fetch(a_pod())
        api.refused[path] = (503, "no route")
        with pytest.raises(Failed, match="status"):
            await way.fetch(a_pod())
        api.refused[path] = (403, 'User "me" cannot get resource "pods/proxy"')
        with pytest.raises(Failed, match="status"):
            await way.fetch(a_pod())
        assert 'cannot get resource "pods/proxy"' in caplog.text
