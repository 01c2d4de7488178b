"""Archives from web servers: a private authority, logins, redirects, and connections that break."""

import gzip
import hashlib
import random
from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.support.archives import a_tar, a_zip
from tests.support.certificates import Authority
from tests.support.fetching import Pod
from tests.support.fileserver import FileServer, Reply, serving

FILES = {"adapter_config.json": b"{}", "adapter_model.safetensors": random.Random(0).randbytes(3_000_000)}
ARCHIVE = a_tar({f"run-7/{name}": data for name, data in FILES.items()})


@pytest.fixture
def server(authority: Authority) -> Iterator[FileServer]:
    with serving(FileServer({"/run-7.tar": ARCHIVE}), authority.context) as found:
        yield found


def uri(server: FileServer, path: str = "/run-7.tar") -> str:
    return server.url + path


def test_an_archive_of_a_folder_becomes_that_folders_files(server: FileServer, authority: Authority, pod: Pod) -> None:
    outcome = pod.fetch(uri(server), ca_file=authority.pem)
    assert (outcome.status, outcome.words, pod.files()) == (0, {}, FILES)
    facts = pod.facts()
    assert facts["uri"] == uri(server)
    assert (facts["revision"], facts["bytes"], facts["fromCache"]) == ("", 3_000_002, False)


def test_a_private_authority_may_come_from_the_secret(server: FileServer, authority: Authority, pod: Pod) -> None:
    assert pod.fetch(uri(server), {"ca.crt": authority.pem.read_text()}).status == 0


def test_an_unknown_authority_is_refused_and_the_remedy_named(server: FileServer, pod: Pod) -> None:
    outcome = pod.fetch(uri(server))
    assert (outcome.status, outcome.reason) == (1, "SourceUnavailable")
    assert "put that one's certificate into the Secret as ca.crt" in outcome.message
    assert server.sent == 0


def test_a_cut_connection_is_continued_and_nothing_fetched_twice(
    server: FileServer, authority: Authority, pod: Pod
) -> None:
    server.cuts = [1_000_000, 0, 700_001]
    outcome = pod.fetch(uri(server), ca_file=authority.pem)
    assert (outcome.status, pod.files()) == (0, FILES)
    assert server.sent == len(ARCHIVE) + 1  # and the byte that asks for the size
    ranges = [request.headers.get("range") for request in server.requests]
    assert ranges == ["bytes=0-0", None, "bytes=1000000-", "bytes=1000000-", "bytes=1700001-"]


def test_a_server_without_ranges_is_asked_from_the_beginning(
    server: FileServer, authority: Authority, pod: Pod
) -> None:
    server.cuts, server.ranges = [10, 1_000_000], False  # the first is the question for the size
    assert pod.fetch(uri(server), ca_file=authority.pem).status == 0
    assert (pod.files(), server.sent) == (FILES, 10 + 1_000_000 + len(ARCHIVE))


def test_an_archive_that_is_replaced_meanwhile_is_no_mixture(
    server: FileServer, authority: Authority, pod: Pod
) -> None:
    old, new = ARCHIVE, a_tar({"adapter_config.json": b"{}", "adapter_model.safetensors": bytes(3_000_000)})
    server.cuts = [500_000]

    def replaced(_request: object) -> Reply | None:
        if server.sent > 1:
            server.files["/run-7.tar"] = new
        return None

    server.answer = replaced
    outcome = pod.fetch(uri(server), ca_file=authority.pem)
    assert (outcome.reason, old != new) == ("SourceUnavailable", True)
    assert "was replaced during the download" in outcome.message
    assert pod.fetch(uri(server), ca_file=authority.pem).status == 0
    assert pod.files()["adapter_model.safetensors"] == bytes(3_000_000)


def test_a_server_that_is_overloaded_for_a_moment_is_asked_again(
    server: FileServer, authority: Authority, pod: Pod
) -> None:
    server.statuses = [503, 429, 502]
    outcome = pod.fetch(uri(server), ca_file=authority.pem)
    assert (outcome.status, outcome.log.count("Trying again")) == (0, 3)


def test_a_server_that_stays_down_ends_in_unavailable(server: FileServer, authority: Authority, pod: Pod) -> None:
    server.statuses = [500] * 20
    outcome = pod.fetch(uri(server), ca_file=authority.pem, timeout_seconds=3)
    assert (outcome.status, outcome.reason, pod.to.exists()) == (1, "SourceUnavailable", False)
    assert "Not done within 3 s" in outcome.message


@pytest.mark.parametrize(
    ("secret", "login"),
    [
        ({"token": "token-canary"}, "Bearer token-canary"),
        ({"username": "ada", "password": "canary"}, "Basic YWRhOmNhbmFyeQ=="),
    ],
)
def test_a_login_comes_from_the_secret(
    server: FileServer, authority: Authority, pod: Pod, secret: dict[str, str], login: str
) -> None:
    server.login = login
    assert pod.fetch(uri(server), secret, ca_file=authority.pem).status == 0
    wrong = pod.fetch(uri(server), dict.fromkeys(secret, "wrong-canary"), ca_file=authority.pem)
    assert (wrong.reason, "does not accept" in wrong.message) == ("SourceUnauthorized", True)
    half = pod.fetch(uri(server), {"username": "ada"}, ca_file=authority.pem)
    assert (half.reason, "Add password to the Secret" in half.message) == ("SourceUnauthorized", True)
    none = pod.fetch(uri(server), {}, ca_file=authority.pem)
    assert (none.reason, "add username and password to the Secret" in none.message) == ("SourceUnauthorized", True)


def test_a_redirect_to_another_host_goes_without_the_login(authority: Authority, pod: Pod) -> None:
    with serving(FileServer({"/blob": ARCHIVE})) as elsewhere, serving(FileServer(), authority.context) as server:
        server.login = "Bearer token-canary"
        server.redirects = {"/run-7.tar": f"{elsewhere.url}/blob?Signature=canary".replace("127.0.0.1", "localhost")}
        settings = {"ca_file": authority.pem, "mirrors": f'{{"localhost": "{elsewhere.url}"}}'}
        assert pod.fetch(uri(server), {"token": "token-canary"}, **settings).status == 1  # http, from https
        server.redirects = {"/run-7.tar": f"https://localhost:{elsewhere.port}/blob?Signature=canary"}
        assert pod.fetch(uri(server), {"token": "token-canary"}, **settings).status == 0
        assert [request.headers.get("authorization") for request in elsewhere.requests] == [None, None]
        assert {request.query for request in elsewhere.requests} == {"Signature=canary"}
        denied = pod.fetch(uri(server), {"token": "token-canary"}, ca_file=authority.pem)
    assert denied.reason == "SourceDenied"
    assert "does not allow downloads from localhost, to which https://127.0.0.1" in denied.message


@pytest.mark.parametrize("value", ["two\nlines-canary", "ümlaut-canary"])
def test_a_credential_that_no_request_may_hold_is_named_and_not_shown(
    server: FileServer, authority: Authority, pod: Pod, value: str
) -> None:
    outcome = pod.fetch(uri(server), {"token": value}, ca_file=authority.pem)
    assert (outcome.reason, outcome.message.startswith("token in the Secret")) == ("SourceUnauthorized", True)


def test_a_body_that_is_said_to_be_compressed_is_kept_as_it_is(
    server: FileServer, authority: Authority, pod: Pod
) -> None:
    packed, server.ranges = gzip.compress(ARCHIVE, 1), False
    server.answer = lambda request: replace(server.file(request, packed), headers={"Content-Encoding": "gzip"})
    assert pod.fetch(uri(server), ca_file=authority.pem).status == 0
    assert pod.files() == FILES


@pytest.mark.parametrize(
    "target", ["http://169.254.169.254/latest", "https://metadata.google.internal/", "file:///etc"]
)
def test_a_redirect_leads_nowhere_that_is_not_allowed(
    server: FileServer, authority: Authority, pod: Pod, target: str
) -> None:
    server.redirects = {"/run-7.tar": target}
    assert pod.fetch(uri(server), ca_file=authority.pem).reason == "SourceDenied"


def test_a_redirect_without_end_ends(server: FileServer, authority: Authority, pod: Pod) -> None:
    server.redirects = {"/run-7.tar": "/run-7.tar"}
    assert "more than 5 redirects" in pod.fetch(uri(server), ca_file=authority.pem).message


def test_a_host_that_is_not_allowed_is_never_asked(server: FileServer, authority: Authority, pod: Pod) -> None:
    for hosts in ("huggingface.co,*.lab", "*"):  # the second: a loopback address that nobody named
        outcome = pod.fetch(uri(server), ca_file=authority.pem, hosts=hosts)
        assert outcome.reason == "SourceDenied", outcome.message
    assert server.requests == []


def test_the_digest_of_content_or_archive_pins_both(server: FileServer, authority: Authority, pod: Pod) -> None:
    assert pod.fetch(uri(server), ca_file=authority.pem).status == 0
    content, archive = pod.facts()["digest"], hashlib.sha256(ARCHIVE).hexdigest()
    for pin in (content, content.removeprefix("sha256:"), archive, f"sha256:{archive}"):
        assert pod.fetch(uri(server), ca_file=authority.pem, sha256=pin).status == 0
    outcome = pod.fetch(uri(server), ca_file=authority.pem, sha256="0" * 64)
    assert outcome.reason == "SourceDigestMismatch"
    assert content in outcome.message
    assert archive in outcome.message
    assert server.sent == len(ARCHIVE) + 6  # downloaded once, looked at six times


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"<html>Sign in</html>", "a web page"),
        (a_tar({"../evil": b"x"}), "leads elsewhere"),
        (a_zip({"/evil": b"x"}), "absolute"),
        (gzip.compress(bytes(40 * 2**20)), "holds no file"),
    ],
)
def test_bad_archives_publish_nothing(
    server: FileServer, authority: Authority, pod: Pod, data: bytes, words: str
) -> None:
    server.files["/run-7.tar"] = data
    outcome = pod.fetch(uri(server), ca_file=authority.pem)
    assert (outcome.status, outcome.reason) == (1, "SourceInvalid")
    assert words in outcome.message
    assert not pod.to.exists()


def test_what_does_not_exist_is_not_found(server: FileServer, authority: Authority, pod: Pod) -> None:
    assert pod.fetch(uri(server, "/run-8.tar"), ca_file=authority.pem).reason == "SourceNotFound"
