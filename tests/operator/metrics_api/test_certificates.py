"""Our own certificate: what it is for, how long, and what tells that it will not do any more."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509

from forge_operator.metrics_api.certificates import LIFE, RENEWED_BEFORE, Pair, ends, issued, living, usable

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
HOST = "forge-metrics-api.forge-system.svc"


def test_a_new_pair_is_for_its_hosts_and_proved_by_its_authority() -> None:
    pair = issued([HOST, "forge-metrics-api.forge-system"], NOW)
    assert usable(pair, HOST, NOW)
    assert ends(pair.certificate) == NOW + LIFE
    certificate = x509.load_pem_x509_certificate(pair.certificate.encode())
    authority = x509.load_pem_x509_certificate(pair.authority.encode())
    certificate.verify_directly_issued_by(authority)
    assert "PRIVATE KEY" not in pair.authority
    assert not certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca


def test_a_long_name_still_has_a_certificate() -> None:
    host = f"{'a' * 63}.{'b' * 63}.svc"
    assert usable(issued([host], NOW), host, NOW)


@pytest.mark.parametrize(
    "change",
    [
        {"certificate": ""},
        {"key": ""},
        {"key": "-----BEGIN PRIVATE KEY-----\nnonsense\n-----END PRIVATE KEY-----\n"},
        {"authority": ""},
        {"authority": issued([HOST], NOW).authority},
        {"key": issued([HOST], NOW).key},
    ],
)
def test_a_pair_that_does_not_belong_together_is_not_used(change: dict[str, str]) -> None:
    assert not usable(replace(issued([HOST], NOW), **change), HOST, NOW)


def test_a_pair_of_another_host_is_not_used() -> None:
    assert not usable(issued(["other.svc"], NOW), HOST, NOW)
    assert not usable(Pair("", "", ""), HOST, NOW)


def test_a_pair_is_replaced_a_month_before_it_ends() -> None:
    pair = issued([HOST], NOW)
    assert usable(pair, HOST, NOW + LIFE - RENEWED_BEFORE - timedelta(hours=1))
    assert not usable(pair, HOST, NOW + LIFE - RENEWED_BEFORE)


def test_authorities_that_live_are_kept_newest_first() -> None:
    old, new = issued([HOST], NOW - timedelta(days=60)).authority, issued([HOST], NOW).authority
    assert living(old + new, NOW) == [new, old]
    assert living(old + new, NOW + timedelta(days=31)) == [new]
    assert living("nonsense", NOW) == []
    assert living("", NOW) == []
