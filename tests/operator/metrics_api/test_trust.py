"""Whom the API server's administrator lets speak for users."""

import pytest

from forge_operator.metrics_api.trust import NoTrust, Trust
from tests.support.front_proxy import a_front_proxy

CONFIG = a_front_proxy().config("front-proxy-client", "aggregator")


def certificate(name: str) -> dict[str, object]:
    """As `ssl` tells it."""
    return {"subject": ((("organizationName", "lab"),), (("commonName", name),))}


def test_only_the_names_that_are_listed_are_admitted() -> None:
    trust = Trust.read(CONFIG)
    assert trust.admits(certificate("aggregator"))
    assert not trust.admits(certificate("lab"))
    assert not trust.admits(certificate("Aggregator"))
    assert not trust.admits({})
    assert not trust.admits(None)


def test_an_empty_list_of_names_admits_every_certificate_but_not_none() -> None:
    trust = Trust.read({**CONFIG, "requestheader-allowed-names": "[]"})
    assert trust.admits(certificate("anybody"))
    assert not trust.admits(None)


def test_the_first_header_that_names_a_user_counts() -> None:
    data = {**CONFIG, "requestheader-username-headers": '["X-First", "X-Remote-User"]'}
    trust = Trust.read(data)
    headers = [("x-remote-user", "ada"), ("X-Remote-Group", "lab"), ("x-remote-extra-A", "1")]
    user = trust.user(headers)
    assert user
    assert (user.name, user.groups, user.extra) == ("ada", ("lab", "system:authenticated"), (("a", ("1",)),))
    user = trust.user([*headers, ("X-First", "eve")])
    assert user
    assert user.name == "eve"


def test_without_a_user_nobody_asks() -> None:
    assert Trust.read(CONFIG).user([("X-Remote-Group", "system:masters"), ("X-Remote-User", "")]) is None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"requestheader-client-ca-file": ""}, "started without --requestheader-client-ca-file"),
        ({"requestheader-allowed-names": "aggregator"}, "requestheader-allowed-names is not JSON"),
        ({"requestheader-allowed-names": '{"a": 1}'}, "requestheader-allowed-names is not a list"),
        ({"requestheader-group-headers": "[1]"}, "requestheader-group-headers is not a list"),
    ],
)
def test_what_cannot_be_understood_is_named(change: dict[str, str], words: str) -> None:
    with pytest.raises(NoTrust, match=words):
        Trust.read({**CONFIG, **change})
