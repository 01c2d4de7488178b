"""custom.metrics.k8s.io over real TLS: what is answered, to whom, and what others are told."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from forge_operator.cluster.errors import Unavailable
from forge_operator.metrics_api.api import Api
from forge_operator.metrics_api.certificates import issued
from forge_operator.metrics_api.documents import GROUP, MODELS
from forge_operator.metrics_api.exposition import read
from forge_operator.metrics_api.metrics import Metrics
from forge_operator.metrics_api.permission import Permissions
from forge_operator.metrics_api.samples import NAMES, Samples
from forge_operator.metrics_api.tls import Front
from forge_operator.metrics_api.trust import Trust
from tests.operator.metrics_api.test_samples import a_pod
from tests.support.expositions import Exposition
from tests.support.front_proxy import FrontProxy, a_front_proxy

HOST = "forge-metrics-api.forge-system.svc"
HPA = {"X-Remote-User": "system:serviceaccount:kube-system:horizontal-pod-autoscaler"}
V2 = f"/apis/{GROUP}/v1beta2"
PODS = f"{V2}/namespaces/lab/pods"
Answer = tuple[int, dict[str, Any]]


class Reviews:
    """The API server's answers to whether somebody may."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.allowed: bool | None = True  # None: no answer

    async def request(self, method: str, path: str, *, body: dict[str, Any], timeout: float) -> dict[str, Any]:
        assert (method, path) == ("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews")
        self.asked.append(body["spec"])
        if self.allowed is None:
            raise Unavailable("POST subjectaccessreviews: TimeoutError")
        return {"status": {"allowed": self.allowed}}


@dataclass
class Talk:
    """A server that listens, its samples, and connections of the API server's kind to it."""

    folder: Path
    proxy: FrontProxy
    samples: Samples
    reviews: Reviews
    front: Front
    port: int
    authority: str
    sessions: list[aiohttp.ClientSession] = field(default_factory=list)

    def session(
        self, name: str | None = "front-proxy-client", proxy: FrontProxy | None = None
    ) -> aiohttp.ClientSession:
        """With a certificate of this name, or without any."""
        if name is None:
            context = ssl.create_default_context(cadata=self.authority)
        else:
            context = (proxy or self.proxy).client(self.folder, self.authority, name)
        found = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=context), base_url=f"https://127.0.0.1:{self.port}"
        )
        self.sessions.append(found)
        return found

    async def get(self, path: str, session: aiohttp.ClientSession | None = None, **headers: str) -> Answer:
        """As the API server asks: for whatever is accepted, with its view of who asks."""
        wanted = {"Accept": "application/vnd.kubernetes.protobuf, */*", **(headers or HPA)}
        async with (session or self.sessions[0]).get(path, headers=wanted, server_hostname=HOST) as answer:
            assert answer.headers["Content-Type"].startswith("application/json")
            return answer.status, await answer.json()


@asynccontextmanager
async def talking(folder: Path, *names: str) -> AsyncIterator[Talk]:
    """`names` are those that the API server's administrator allows."""
    proxy, pair = a_front_proxy(), issued([HOST], datetime.now(UTC))
    front, samples, reviews = Front(), Samples(), Reviews()
    front.change(pair, Trust.read(proxy.config(*names)))
    api = Api(samples, front, Permissions(reviews, GROUP), Metrics())  # type: ignore[arg-type]  # all that it asks of it
    runner = web.AppRunner(api.application(), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=front.context).start()
    talk = Talk(folder, proxy, samples, reviews, front, runner.addresses[0][1], pair.authority)
    try:
        talk.session()
        yield talk
    finally:
        for session in talk.sessions:
            await session.close()
        await runner.cleanup()


@pytest.fixture
async def talk(tmp_path: Path) -> AsyncIterator[Talk]:
    async with talking(tmp_path, "front-proxy-client") as found:
        found.samples.put(a_pod())
        found.samples.put(a_pod("hbb-2", labels={"model": "hbb", "second": "yes"}))
        now = asyncio.get_running_loop().time()
        for name, waiting in (("hbb-1", 3), ("hbb-2", 5.5)):
            found.samples.add(a_pod(name), read(Exposition(waiting=waiting).text), now)
        yield found


async def test_discovery_names_every_metric_of_pods_and_models(talk: Talk) -> None:
    code, group = await talk.get(f"/apis/{GROUP}")
    assert (code, group["preferredVersion"]["version"]) == (200, "v1beta2")
    for version in ("v1beta1", "v1beta2"):
        _, found = await talk.get(f"/apis/{GROUP}/{version}")
        assert (found["kind"], found["groupVersion"]) == ("APIResourceList", f"{GROUP}/{version}")
        assert {resource["name"] for resource in found["resources"]} == {
            f"{kind}/{name}" for kind in ("pods", MODELS) for name in NAMES
        }
        assert all(resource["namespaced"] and resource["verbs"] == ["get"] for resource in found["resources"])


@pytest.mark.parametrize(("path", "key"), [("/openapi/v2", "swagger"), ("/openapi/v3", "paths"), ("/apis", "groups")])
async def test_what_the_aggregator_merges_is_there(talk: Talk, path: str, key: str) -> None:
    code, found = await talk.get(path)
    assert code == 200
    assert key in found


async def test_each_pods_value_has_its_own_time(talk: Talk) -> None:
    code, found = await talk.get(f"{PODS}/*/forge_queue_depth?labelSelector=model%3Dhbb")
    assert (code, found["kind"], found["apiVersion"]) == (200, "MetricValueList", f"{GROUP}/v1beta2")
    assert {item["describedObject"]["name"]: item["value"] for item in found["items"]} == {
        "hbb-1": "3",
        "hbb-2": "5500m",
    }
    [item, _] = found["items"]
    assert item["describedObject"] == {"kind": "Pod", "apiVersion": "v1", "namespace": "lab", "name": "hbb-1"}
    assert item["metric"] == {"name": "forge_queue_depth"}
    assert item["windowSeconds"] == 0
    age = datetime.now(UTC) - datetime.fromisoformat(item["timestamp"])
    assert 0 <= age.total_seconds() < 30


async def test_the_older_version_spells_it_its_own_way(talk: Talk) -> None:
    _, found = await talk.get(f"/apis/{GROUP}/v1beta1/namespaces/lab/pods/hbb-1/forge_latency_p95_seconds")
    [item] = found["items"]
    assert (item["metricName"], item["window"], item["value"]) == ("forge_latency_p95_seconds", 60, "0")
    assert "metric" not in item


async def test_selectors_choose_pods(talk: Talk) -> None:
    for selector, names in (("second%3Dyes", ["hbb-2"]), ("second+notin+(yes)", ["hbb-1"]), ("model%3Dother", [])):
        code, found = await talk.get(f"{PODS}/*/forge_queue_depth?labelSelector={selector}")
        assert (code, [item["describedObject"]["name"] for item in found["items"]]) == (200, names)
    _, found = await talk.get(f"{PODS}/*/forge_queue_depth?metricLabelSelector=verb%3DGET")
    assert found["items"] == []


async def test_a_model_has_the_mean_of_its_pods(talk: Talk) -> None:
    _, found = await talk.get(f"{V2}/namespaces/lab/{MODELS}/hbb/forge_queue_depth")
    [item] = found["items"]
    assert (item["describedObject"]["kind"], item["describedObject"]["name"]) == ("ScientificModel", "hbb")
    assert item["value"] == "4250m"


@pytest.mark.parametrize(
    ("path", "code", "reason", "words"),
    [
        (f"{PODS}/hbb-9/forge_queue_depth", 404, "NotFound", "no fresh forge_queue_depth of the pod lab/hbb-9"),
        (f"{PODS}/*/cpu", 404, "NotFound", "there is no metric cpu; there are forge_queue_depth"),
        (f"{PODS}/*/forge_queue_depth?labelSelector=a%3Db%3Dc", 400, "BadRequest", "'a=b=c' is not part"),
        (f"{V2}/namespaces/lab/{MODELS}/abc/forge_queue_depth", 404, "NotFound", "the model lab/abc"),
        (f"{V2}/namespaces/lab/services/hbb/forge_queue_depth", 404, "NotFound", "Not Found"),
        (f"/apis/{GROUP}/v1/namespaces/lab/pods/*/forge_queue_depth", 404, "NotFound", "Not Found"),
    ],
)
async def test_a_no_is_a_status_with_a_reason(talk: Talk, path: str, code: int, reason: str, words: str) -> None:
    answered, found = await talk.get(path)
    assert (answered, found["kind"], found["reason"], found["code"]) == (code, "Status", reason, code)
    assert words in found["message"]


async def test_nothing_can_be_written(talk: Talk) -> None:
    async with talk.sessions[0].post(f"/apis/{GROUP}", headers=HPA, server_hostname=HOST) as answer:
        assert (answer.status, (await answer.json())["reason"]) == (405, "MethodNotAllowed")


async def test_nobody_is_believed_without_the_api_servers_certificate(talk: Talk) -> None:
    for path in (f"/apis/{GROUP}", f"{PODS}/*/forge_queue_depth", "/openapi/v2", "/elsewhere"):
        code, found = await talk.get(path, talk.session(None))
        assert (code, found["reason"]) == (401, "Unauthorized")
    code, _ = await talk.get(f"{PODS}/*/forge_queue_depth", talk.session("somebody-else"))
    assert code == 401, "the right authority, but a name that is not allowed"
    with pytest.raises(aiohttp.ClientError):
        await talk.get(f"{PODS}/*/forge_queue_depth", talk.session(proxy=a_front_proxy()))
    assert talk.reviews.asked == []


async def test_the_api_server_must_say_for_whom_it_asks(talk: Talk) -> None:
    code, found = await talk.get(f"/apis/{GROUP}", **{"X-Other": "1"})
    assert (code, found["message"]) == (401, "the API server does not say for whom it asks")


async def test_where_no_names_are_listed_every_certificate_of_the_authority_will_do(tmp_path: Path) -> None:
    async with talking(tmp_path) as talk:
        code, _ = await talk.get(f"/apis/{GROUP}", talk.session("anybody"))
        assert code == 200


async def test_the_api_server_is_asked_whether_this_user_may(talk: Talk) -> None:
    headers = [("X-Remote-User", "ada"), ("X-Remote-Group", "lab"), ("X-Remote-Group", "readers")]
    headers += [("X-Remote-Extra-Scopes", "a"), ("X-Remote-Extra-Scopes", "b"), ("X-Remote-Uid", "7")]
    path = f"{PODS}/*/forge_queue_depth"
    for _ in range(2):
        async with talk.sessions[0].get(path, headers=headers, server_hostname=HOST) as answer:
            assert answer.status == 200
    [asked] = talk.reviews.asked  # the second time it is remembered
    assert asked == {
        "user": "ada",
        "uid": "7",
        "groups": ["lab", "readers", "system:authenticated"],
        "extra": {"scopes": ["a", "b"]},
        "resourceAttributes": {
            "namespace": "lab",
            "verb": "get",
            "group": GROUP,
            "resource": "pods",
            "subresource": "forge_queue_depth",
            "name": "*",
        },
    }


async def test_a_user_who_may_not_learns_which_permission_is_missing(talk: Talk) -> None:
    talk.reviews.allowed = False
    code, found = await talk.get(f"{PODS}/*/forge_queue_depth", **{"X-Remote-User": "eve"})
    assert (code, found["reason"]) == (403, "Forbidden")
    assert 'User "eve" cannot get resource "pods/forge_queue_depth" in API group' in found["message"]


async def test_while_the_api_server_does_not_say_who_may_nobody_is_told(talk: Talk) -> None:
    talk.reviews.allowed = None
    code, found = await talk.get(f"{PODS}/*/forge_queue_depth")
    assert (code, found["reason"], "items" in found) == (503, "ServiceUnavailable", False)
    assert (await talk.get(f"/apis/{GROUP}"))[0] == 200, "discovery is the same for everybody"


async def test_certificates_change_while_it_listens(talk: Talk) -> None:
    before = talk.sessions[0]
    assert (await talk.get(f"/apis/{GROUP}", before))[0] == 200
    other, pair = a_front_proxy(), issued([HOST], datetime.now(UTC))
    talk.front.change(pair, Trust.read(other.config("front-proxy-client")))
    async with before.get(f"/apis/{GROUP}", headers=HPA, server_hostname=HOST) as answer:
        assert answer.headers["Connection"] == "close", "a connection outlives the change by one request"
    with pytest.raises(aiohttp.ClientError):
        await talk.get(f"/apis/{GROUP}", before)
    old, talk.authority = talk.proxy, pair.authority
    assert (await talk.get(f"/apis/{GROUP}", talk.session(proxy=other)))[0] == 200
    with pytest.raises(aiohttp.ClientError):
        await talk.get(f"/apis/{GROUP}", talk.session(proxy=old))


async def test_before_there_is_a_certificate_no_handshake_succeeds(talk: Talk) -> None:
    bare = Front()
    runner = web.AppRunner(web.Application(), access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=bare.context).start()
        with pytest.raises(aiohttp.ClientError):
            await talk.session(None).get(f"https://127.0.0.1:{runner.addresses[0][1]}/", server_hostname=HOST)
    finally:
        await runner.cleanup()
