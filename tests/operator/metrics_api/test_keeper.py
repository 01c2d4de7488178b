"""The certificate in the Secret, and the API server's trust: made, shared, renewed, and never somebody else's."""

import base64
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from forge_operator.cluster.client import Client
from forge_operator.cluster.errors import Forbidden
from forge_operator.metrics_api.certificates import LIFE, Pair, issued, living
from forge_operator.metrics_api.documents import API_SERVICES
from forge_operator.metrics_api.keeper import Keeper, NotOurs
from tests.support.api_server import ApiServer, Manifest, an_api_server

SECRET = "/api/v1/namespaces/forge-system/secrets/forge-metrics-api-tls"
SERVICES = [f"/apis/apiregistration.k8s.io/v1/apiservices/{name}" for name in API_SERVICES]
HOST = "forge-metrics-api.forge-system.svc"

Talk = tuple[ApiServer, Keeper]


def a_registration(namespace: str = "forge-system", name: str = "forge-metrics-api") -> Manifest:
    return {"metadata": {}, "spec": {"service": {"namespace": namespace, "name": name}}}


def a_keeper(client: Client) -> Keeper:
    return Keeper(client, "forge-system", "forge-metrics-api", "cluster.local", API_SERVICES)


@pytest.fixture
async def talk() -> AsyncIterator[Talk]:
    """As the chart leaves it: an empty Secret, and APIServices that trust nobody."""
    async with an_api_server() as (server, client):
        server.put(SECRET, {"metadata": {}})
        for path in SERVICES:
            server.put(path, a_registration())
        yield server, a_keeper(client)


def bundle(server: ApiServer, path: str) -> list[str]:
    """Which authorities the API server trusts here."""
    return living(base64.b64decode(server.objects[path]["spec"]["caBundle"]).decode(), datetime.now(UTC))


def keep(server: ApiServer, pair: Pair) -> None:
    """As another replica left it."""
    data = {"tls.crt": pair.certificate, "tls.key": pair.key, "ca.crt": pair.authority}
    server.put(SECRET, {"data": {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}})


async def test_the_first_look_makes_a_certificate_and_tells_the_api_server(talk: Talk) -> None:
    server, keeper = talk
    pair = await keeper.look(serves=False)
    assert pair
    for path in SERVICES:
        assert bundle(server, path) == living(pair.authority, datetime.now(UTC)) != []


async def test_a_second_replica_serves_the_same(talk: Talk) -> None:
    server, keeper = talk
    first = await keeper.look(serves=False)
    writes = [line for line in server.asked if line.startswith("PATCH")]
    assert await keeper.look(serves=False) == first
    assert [line for line in server.asked if line.startswith("PATCH")] == writes, "at rest nothing is written"


async def test_of_two_that_begin_at_once_the_slower_one_takes_the_others(talk: Talk) -> None:
    server, keeper = talk
    faster = issued([HOST], datetime.now(UTC))
    server.before_write = lambda: keep(server, faster)
    assert await keeper.look(serves=False) == faster


async def test_a_certificate_that_ends_soon_is_replaced_and_its_authority_trusted_on(talk: Talk) -> None:
    server, keeper = talk
    old = issued([HOST], datetime.now(UTC) - LIFE + timedelta(days=20))
    keep(server, old)
    assert await keeper.look(serves=True) is None, "the API server has only just learnt of the new authority"
    new = await keeper.look(serves=True)
    assert new
    assert new.certificate != old.certificate
    for path in SERVICES:
        assert len(bundle(server, path)) == 2, "replicas that still serve the old one are trusted"
        assert bundle(server, path)[1] == old.authority


async def test_what_somebody_broke_is_made_again(talk: Talk) -> None:
    server, keeper = talk
    await keeper.look(serves=False)
    server.put(SECRET, {"data": {"tls.crt": base64.b64encode(b"nonsense").decode()}})
    assert await keeper.look(serves=False)
    server.put(SERVICES[0], a_registration())
    await keeper.look(serves=True)
    assert bundle(server, SERVICES[0]) == bundle(server, SERVICES[1])


async def test_another_providers_registration_is_never_touched(talk: Talk) -> None:
    server, keeper = talk
    theirs = server.put(SERVICES[0], a_registration("monitoring", "prometheus-adapter"))
    with pytest.raises(NotOurs, match=r"belongs to monitoring/prometheus-adapter.*keda or none"):
        await keeper.look(serves=False)
    assert server.objects[SERVICES[0]] == theirs


@pytest.mark.parametrize("path", [SECRET, *SERVICES])
async def test_what_is_missing_is_named(talk: Talk, path: str) -> None:
    server, keeper = talk
    del server.objects[path]
    with pytest.raises(NotOurs, match=f"{path.rpartition('/')[2]} is missing: `helm upgrade`"):
        await keeper.look(serves=False)


async def test_a_missing_permission_is_named(talk: Talk) -> None:
    server, keeper = talk
    said = 'secrets "x" is forbidden: User "me" cannot get resource "secrets" in API group ""'
    server.refused[SECRET] = (403, said)
    with pytest.raises(Forbidden, match=r'cannot get resource "secrets".*Grant it'):
        await keeper.look(serves=False)
