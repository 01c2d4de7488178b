"""The client against a real HTTP server: what it sends, and what it makes of answers."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from kubernetes.aio.client import Configuration

from forge_operator.api.crd import definition
from forge_operator.cluster.client import Client
from forge_operator.cluster.errors import Conflict, Declined, Forbidden, Missing, Terminating, Unavailable
from forge_operator.cluster.kinds import CHILDREN, MODEL
from forge_operator.cluster.reports import Reports, ReportUnavailable
from forge_operator.cluster.schema import CrdUnusable, check
from forge_operator.errors import InvalidSettings
from tests.support.api_server import a_client_of
from tests.support.models import a_body

SERVICE = CHILDREN["Service"]


class Server:
    """Answers every request with `answers`, in order; keeps what was asked."""

    def __init__(self) -> None:
        self.answers: list[tuple[int, Any]] = []
        self.asked: list[tuple[str, str, dict[str, str], Any, str]] = []

    async def answer(self, request: web.Request) -> web.Response:
        text = await request.text()
        body = await request.json() if text else None
        kind = request.headers.get("Content-Type", "")
        self.asked.append((request.method, request.path, dict(request.query), body, kind))
        status, said = self.answers.pop(0)
        return (
            web.json_response(said, status=status)
            if not isinstance(said, str)
            else web.Response(text=said, status=status)
        )


@pytest.fixture
async def server() -> AsyncIterator[tuple[Server, Client]]:
    found = Server()
    async with a_client_of(found.answer) as client:
        yield found, client


Talk = tuple[Server, Client]


async def test_a_list_is_read_page_by_page(server: Talk) -> None:
    api, client = server
    api.answers = [
        (200, {"metadata": {"continue": "abc"}, "items": [{"n": 1}, {"n": 2}]}),
        (200, {"metadata": {"continue": "def"}, "items": [{"n": 3}]}),
        (200, {"metadata": {}, "items": None}),
    ]
    found = [each async for each in client.list(SERVICE, "lab", "a=b")]
    assert [each["n"] for each in found] == [1, 2, 3]
    assert (found[0]["apiVersion"], found[0]["kind"]) == ("v1", "Service"), "the server does not say it of items"
    assert [query.get("continue") for _, _, query, _, _ in api.asked] == [None, "abc", "def"]
    assert api.asked[0][1] == "/api/v1/namespaces/lab/services"
    assert api.asked[0][2]["labelSelector"] == "a=b"


async def test_apply_is_strict_forced_and_bound_to_the_object_that_was_seen(server: Talk) -> None:
    api, client = server
    api.answers = [(200, {"metadata": {}})]
    await client.apply({"kind": "Service", "metadata": {"namespace": "lab", "name": "hbb"}}, "u1")
    [(method, path, query, body, content)] = api.asked
    assert (method, path) == ("PATCH", "/api/v1/namespaces/lab/services/hbb")
    assert query == {"fieldManager": "scientificllm-forge", "force": "true", "fieldValidation": "Strict"}
    assert body["metadata"]["uid"] == "u1"
    assert content == "application/apply-patch+yaml"


async def test_a_handover_is_not_forced_and_under_its_own_name(server: Talk) -> None:
    api, client = server
    api.answers = [(200, {"metadata": {}})]
    await client.apply(
        {"kind": "Deployment", "metadata": {"namespace": "lab", "name": "hbb"}}, "u1", manager="another", force=False
    )
    assert api.asked[0][2] == {"fieldManager": "another", "force": "false", "fieldValidation": "Strict"}


async def test_a_number_of_pods_is_set_through_scale_and_only_to_what_was_seen(server: Talk) -> None:
    api, client = server
    api.answers = [(200, {"metadata": {}})]
    await client.scale({"metadata": {"namespace": "lab", "name": "hbb", "resourceVersion": "7"}}, 2)
    [(method, path, _, body, content)] = api.asked
    assert (method, path) == ("PATCH", "/apis/apps/v1/namespaces/lab/deployments/hbb/scale")
    assert body == {"metadata": {"resourceVersion": "7"}, "spec": {"replicas": 2}}
    assert content == "application/merge-patch+json"


async def test_status_is_applied_to_its_subresource_and_to_this_very_model(server: Talk) -> None:
    api, client = server
    api.answers = [(200, {"metadata": {}})]
    await client.apply_status(a_body(), {"replicas": 1})
    [(_, path, _, body, _)] = api.asked
    assert path == "/apis/serving.scientificllm.io/v1alpha1/namespaces/lab/scientificmodels/hbb-expert/status"
    assert set(body["metadata"]) == {"namespace", "name", "uid"}
    assert "spec" not in body


async def test_a_delete_names_the_uid_and_does_not_mind_what_is_gone(server: Talk) -> None:
    api, client = server
    api.answers = [(404, {"message": "not found"})]
    await client.delete(SERVICE, "lab", "hbb", "u1")
    assert api.asked[0][3]["preconditions"] == {"uid": "u1"}


async def test_what_does_not_exist_is_none(server: Talk) -> None:
    api, client = server
    api.answers = [(404, {"message": "not found"})]
    assert await client.get(SERVICE, "lab", "hbb") is None


RBAC = 'services "x" is forbidden: User "me" cannot patch resource "services" in API group "" in the namespace "lab"'


@pytest.mark.parametrize(
    ("code", "answer", "error", "words"),
    [
        (403, {"message": RBAC}, Forbidden, "cannot patch resource.*Grant it"),
        (403, {"message": "exceeded quota: objects"}, Declined, "exceeded quota"),
        (
            403,
            {"message": "no", "details": {"causes": [{"reason": "NamespaceTerminating"}]}},
            Terminating,
            "no",
        ),
        (422, {"message": "spec.x: Invalid value"}, Declined, "Invalid value"),
        (409, {"message": "changed"}, Conflict, "changed"),
        (404, {"message": 'namespaces "lab" not found'}, Missing, "not found"),
        (429, {"message": "slow down"}, Unavailable, "slow down"),
        (500, "<html>a proxy's page</html>", Unavailable, "a proxy's page"),
        (200, "<html>a proxy's page</html>", Unavailable, "Expecting value"),
        (200, "[1]", Unavailable, "GET"),
    ],
)
async def test_an_answer_is_named_by_what_it_means(
    server: Talk, code: int, answer: Any, error: type[Exception], words: str
) -> None:
    api, client = server
    api.answers = [(code, answer)]
    with pytest.raises(error, match=words):
        await client.request("GET", MODEL.path())


async def test_a_server_that_is_not_there_is_unavailable() -> None:
    configuration = Configuration()
    configuration.host = "http://127.0.0.1:9"
    async with Client(configuration) as client:
        with pytest.raises(Unavailable, match="GET /version"):
            await client.request("GET", "/version")


async def test_a_kubeconfig_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidSettings, match="nowhere"):
        await Client.connect(tmp_path / "nowhere")


async def test_outside_a_cluster_a_kubeconfig_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    with pytest.raises(InvalidSettings, match="--kubeconfig FILE"):
        await Client.connect(None)


async def test_the_crd_of_this_version_is_accepted(server: Talk) -> None:
    api, client = server
    api.answers = [(200, definition())]
    await check(client)


async def test_a_missing_crd_tells_how_to_install_it(server: Talk) -> None:
    api, client = server
    api.answers = [(404, {"message": "not found"})]
    with pytest.raises(CrdUnusable, match="kubectl apply --server-side -f crds/"):
        await check(client)


async def test_an_older_crd_is_refused_by_the_fields_that_it_lacks(server: Talk) -> None:
    api, client = server
    older = definition()
    schema = older["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    del schema["properties"]["spec"]["properties"]["serving"]["properties"]["maxQueue"]
    api.answers = [(200, older)]
    with pytest.raises(CrdUnusable, match=r"lacks spec\.serving\.maxQueue"):
        await check(client)


POD = {"metadata": {"namespace": "lab", "name": "pod-1"}, "status": {}}


async def test_a_report_comes_through_the_api_server(server: Talk) -> None:
    api, client = server
    reports = Reports(client, "proxy")
    try:
        api.answers = [(200, {"model": "hbb"}), (503, {"message": "no endpoints"})]
        assert await reports.fetch(POD) == {"model": "hbb"}
        assert api.asked[0][1] == "/api/v1/namespaces/lab/pods/pod-1:8081/proxy/report"
        with pytest.raises(ReportUnavailable, match="503"):
            await reports.fetch(POD)
    finally:
        await reports.close()


async def test_a_pod_that_cannot_be_reached_is_told_without_its_name(
    server: Talk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("forge_operator.cluster.reports.ADMIN_PORT", 9)  # nobody is there
    _, client = server
    reports = Reports(client, "direct")
    try:
        with pytest.raises(ReportUnavailable, match="no address"):
            await reports.fetch(POD)
        with pytest.raises(ReportUnavailable, match="port 9 of the pod cannot be reached"):
            await reports.fetch({**POD, "status": {"podIP": "127.0.0.3"}})
    finally:
        await reports.close()


@pytest.mark.parametrize("answer", ["not JSON", "[1, 2]", "[" * 100_000])
async def test_a_pod_that_talks_nonsense_is_told(server: Talk, answer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    api, client = server
    port = int(client.configuration.host.rpartition(":")[2])
    monkeypatch.setattr("forge_operator.cluster.reports.ADMIN_PORT", port)
    api.answers = [(200, answer)]
    reports = Reports(client, "direct")
    try:
        with pytest.raises(ReportUnavailable):
            await reports.fetch({**POD, "status": {"podIP": "127.0.0.1"}})
    finally:
        await reports.close()
