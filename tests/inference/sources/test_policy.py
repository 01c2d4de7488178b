"""What the administrator allows, and addresses that are nobody's to name."""

import socket
from typing import Any

import pytest

from forge_inference.sources.connections import Connections
from forge_inference.sources.errors import SourceError
from forge_inference.sources.policy import Policy


def test_only_allowed_schemes_pass_and_the_message_tells_which_those_are() -> None:
    with pytest.raises(SourceError, match=r"does not allow s3:// sources. Allowed here: hf://, oci://") as refused:
        Policy(schemes=("hf", "oci")).demand_scheme("s3")
    assert refused.value.reason == "SourceDenied"


@pytest.mark.parametrize("host", ["hub.example.org", "a.b.example.org", "Hub.Example.Org.", "mirror.lab", "exact.net"])
def test_a_host_passes_by_its_name_a_pattern_or_as_a_mirror(host: str) -> None:
    Policy(hosts=("*.example.org", "exact.net"), mirrors={"x.org": "http://mirror.lab/x"}).demand_host(host)


@pytest.mark.parametrize("host", ["example.org", "evilexample.org", "example.org.evil.net", "x.org", "", "1.2.3.4"])
def test_any_other_host_is_denied(host: str) -> None:
    with pytest.raises(SourceError, match="ask the administrator"):
        Policy(hosts=("*.example.org", "exact.net"), mirrors={"x.org": "http://mirror.lab/x"}).demand_host(host)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.8.8.8",
        "::1",
        "::ffff:127.0.0.1",
        "64:ff9b::7f00:1",
        "0.0.0.0",
        "::",
        "169.254.169.254",
        "::ffff:169.254.169.254",
        "fe80::1",
        "fd00:ec2::254",
        "100.100.100.200",
        "168.63.129.16",
        "224.0.0.1",
        "255.255.255.255",
    ],
)
def test_addresses_of_this_machine_and_of_its_cloud_are_refused(address: str) -> None:
    with pytest.raises(SourceError, match="never downloaded from"):
        Policy(hosts=("*", "*.example.org")).demand_address("files.example.org", address)


@pytest.mark.parametrize("address", ["10.0.0.7", "192.168.1.1", "172.16.0.1", "fd12::1", "93.184.216.34", "2606::1"])
def test_addresses_of_labs_and_of_the_internet_pass(address: str) -> None:
    Policy(hosts=("*",)).demand_address("files.example.org", address)


def test_a_host_that_is_named_in_full_may_have_any_address() -> None:
    Policy(hosts=("*", "localhost")).demand_address("localhost", "127.0.0.1")
    Policy(mirrors={"hub": "http://127.0.0.1:8080"}).demand_address("127.0.0.1", "127.0.0.1")


def test_a_mirror_stands_in_with_its_path_and_keeps_the_query() -> None:
    policy = Policy(mirrors={"huggingface.co": "https://nexus.lab/repository/hf/"})
    assert policy.mirrored("https://huggingface.co/a/b?c=d") == "https://nexus.lab/repository/hf/a/b?c=d"
    assert policy.mirrored("https://other.org/a?b") == "https://other.org/a?b"


def test_a_name_that_leads_to_the_metadata_service_is_refused_before_a_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Names are looked up once: a second answer, as of a rebinding name server, is never asked for."""
    asked = []

    def looked_up(host: str, port: int, **_: Any) -> list[Any]:
        asked.append(host)
        address = "93.184.216.34" if len(asked) > 1 else "169.254.169.254"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    monkeypatch.setattr(socket, "getaddrinfo", looked_up)
    with pytest.raises(
        SourceError, match=r"metadata\.evil\.org has the link-local address 169\.254\.169\.254"
    ) as refused:
        Connections(Policy()).request("GET", "http://metadata.evil.org/latest/meta-data")
    assert (refused.value.reason, asked) == ("SourceDenied", ["metadata.evil.org"])


def test_a_url_in_which_two_parsers_see_two_hosts_is_judged_by_the_one_that_is_asked() -> None:
    with pytest.raises(SourceError, match=r"does not allow downloads from evil\.org"):
        Connections(Policy(hosts=("allowed.org",))).request("GET", "https://evil.org\\@allowed.org/x")


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "2130706433", "0x7f.1", "[::1]", "0"])
def test_this_machine_is_refused_however_it_is_spelt(host: str) -> None:
    with pytest.raises(SourceError) as refused:
        Connections(Policy()).request("GET", f"http://{host}:1/x")
    assert refused.value.reason == "SourceDenied"
