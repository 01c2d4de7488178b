"""Certificate and trust, look after look: what changes is served, what fails is told once, what was right stays."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from forge_operator.metrics_api import identity
from forge_operator.metrics_api.documents import API_SERVICES
from forge_operator.metrics_api.identity import Identity
from forge_operator.metrics_api.metrics import Metrics
from forge_operator.metrics_api.tls import Front
from tests.operator.metrics_api.test_keeper import SECRET, SERVICES, a_keeper, a_registration
from tests.support.api_server import ApiServer, an_api_server
from tests.support.front_proxy import a_front_proxy

CONFIG = "/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication"


@dataclass
class Parts:
    server: ApiServer
    front: Front
    metrics: Metrics
    identity: Identity


@pytest.fixture
async def parts() -> AsyncIterator[Parts]:
    """As the chart and a kubeadm cluster leave it."""
    async with an_api_server() as (server, client):
        server.put(SECRET, {"metadata": {}})
        for path in SERVICES:
            server.put(path, a_registration())
        server.put(CONFIG, {"data": a_front_proxy().config("front-proxy-client")})
        front, metrics = Front(), Metrics()
        yield Parts(server, front, metrics, Identity(client, a_keeper(client), front, metrics))


def told(caplog: pytest.LogCaptureFixture, level: str = "ERROR") -> list[str]:
    records = [record for record in caplog.records if record.name == identity.__name__]
    return [record.getMessage() for record in records if record.levelname == level]


async def test_one_look_is_enough_to_serve(parts: Parts) -> None:
    assert parts.identity.trouble == "no certificate yet"
    await parts.identity.look()
    assert parts.identity.trouble is None
    assert parts.front.trust
    assert (parts.metrics.registry.get_sample_value("forge_metrics_api_certificate_not_after_seconds") or 0) > 1e9


async def test_at_rest_nothing_changes(parts: Parts) -> None:
    await parts.identity.look()
    connection = parts.front._present
    await parts.identity.look()
    assert parts.front._present is connection


async def test_another_authority_is_believed_without_a_restart(parts: Parts) -> None:
    await parts.identity.look()
    other = a_front_proxy()
    parts.server.put(CONFIG, {"data": other.config("aggregator")})
    await parts.identity.look()
    assert parts.front.trust
    assert (parts.front.trust.authorities, parts.front.trust.names) == (other.pem, {"aggregator"})


async def test_what_is_wrong_is_told_once_and_when_it_is_over(parts: Parts, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    data = parts.server.objects.pop(CONFIG)
    for _ in range(3):
        await parts.identity.look()
    [line] = told(caplog)
    assert "the ConfigMap kube-system/extension-apiserver-authentication is missing" in line
    assert parts.identity.trouble == line
    parts.server.put(CONFIG, data)
    await parts.identity.look()
    assert "the trust is well again" in told(caplog, "INFO")
    assert parts.identity.trouble is None


async def test_a_permission_that_is_missing_is_named(parts: Parts, caplog: pytest.LogCaptureFixture) -> None:
    said = f'apiservices "{API_SERVICES[0]}" is forbidden: User "me" cannot patch resource "apiservices" in API group'
    parts.server.refused[SERVICES[0]] = (403, said)
    await parts.identity.look()
    assert 'cannot patch resource "apiservices"' in told(caplog)[0]
    assert "Grant it" in (parts.identity.trouble or "")


async def test_what_was_right_stays_while_the_api_server_is_away(parts: Parts) -> None:
    await parts.identity.look()
    before = parts.front.trust
    for path in (CONFIG, SECRET, *SERVICES):
        parts.server.refused[path] = (500, "etcd is away")
    await parts.identity.look()
    assert (parts.identity.trouble, parts.front.trust) == (None, before)


async def test_authorities_that_are_none_change_nothing(parts: Parts, caplog: pytest.LogCaptureFixture) -> None:
    await parts.identity.look()
    connection = parts.front._present
    broken = {"requestheader-client-ca-file": "-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----\n"}
    parts.server.put(CONFIG, {"data": {**a_front_proxy().config(), **broken}})
    for _ in range(2):
        await parts.identity.look()
    assert parts.front._present is connection
    [line] = told(caplog)
    assert line.startswith("certificates cannot be used")
    mended = a_front_proxy()
    parts.server.put(CONFIG, {"data": mended.config()})
    await parts.identity.look()
    assert parts.front.trust
    assert parts.front.trust.authorities == mended.pem
