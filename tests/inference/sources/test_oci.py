"""A real registry, open, with a login, and behind a token service."""

import gzip
import json
from base64 import b64encode

import pytest

from tests.support.archives import a_tar
from tests.support.fetching import Pod
from tests.support.fileserver import FileServer, Reply, serving
from tests.support.registry import PASSWORD, USER, Layer, Registry, pull_secret, with_tokens

FILES = {"adapter_config.json": b"{}", "adapter_model.safetensors": bytes(range(256)) * 8000}
TITLED = [Layer(data, title=name) for name, data in FILES.items()]
TAR = "application/vnd.oci.image.layer.v1.tar+gzip"
HOST = "registry.lab:5000"


def mirror(url: str) -> dict[str, str]:
    """Settings under which a registry without TLS stands in for one that has a name."""
    return {"mirrors": json.dumps({"registry.lab": url}), "hosts": "registry.lab"}


def test_titled_layers_become_files_and_the_tag_is_pinned(oci_registry: Registry, pod: Pod) -> None:
    digest = oci_registry.push("lab/facts", "v1", *TITLED)
    outcome = pod.fetch(f"oci://{HOST}/lab/facts:v1", **mirror(oci_registry.url))
    assert (outcome.status, pod.files()) == (0, FILES), outcome.log
    assert pod.facts()["revision"] == digest
    oci_registry.push("lab/facts", "v1", Layer(b"other", title="adapter_config.json"))
    assert pod.fetch(f"oci://{HOST}/lab/facts@{digest}", **mirror(oci_registry.url)).status == 0
    assert pod.files() == FILES


def test_tar_layers_are_unpacked_together(oci_registry: Registry, pod: Pod) -> None:
    packed = [Layer(gzip.compress(a_tar({name: data})), kind=TAR) for name, data in FILES.items()]
    folder = Layer(
        gzip.compress(a_tar({"tokenizer/t.json": b"[]"})),
        title="tokenizer",
        notes=(("io.deis.oras.content.unpack", "true"),),
    )
    oci_registry.push("lab/packed", "latest", *packed, folder)
    assert pod.fetch(f"oci://{HOST}/lab/packed", **mirror(oci_registry.url)).status == 0
    assert pod.files() == {**FILES, "tokenizer/t.json": b"[]"}


def test_a_mirrors_path_is_in_front_of_the_repository(oci_registry: Registry, pod: Pod) -> None:
    oci_registry.push("proxy/lab/facts", "v1", *TITLED)
    assert pod.fetch(f"oci://{HOST}/lab/facts:v1", **mirror(f"{oci_registry.url}/proxy")).status == 0


@pytest.mark.parametrize(
    ("layers", "words"),
    [
        ([Layer(b"x")], "has no title"),
        ([Layer(b"x", title="../evil")], "leads elsewhere"),
        ([Layer(b"x", title="a"), Layer(b"y", title="a")], "two files of the same name"),
        ([Layer(gzip.compress(a_tar({"/evil": b"x"})), kind=TAR)], "absolute"),
        ([Layer(b"no tar", kind=TAR)], "neither tar"),
    ],
)
def test_bad_artefacts_are_refused(oci_registry: Registry, pod: Pod, layers: list[Layer], words: str) -> None:
    oci_registry.push("lab/bad", "v1", *layers)
    outcome = pod.fetch(f"oci://{HOST}/lab/bad:v1", **mirror(oci_registry.url))
    assert (outcome.reason, pod.to.exists()) == ("SourceInvalid", False)
    assert words in outcome.message


def test_what_is_not_there_is_not_found(oci_registry: Registry, pod: Pod) -> None:
    assert pod.fetch(f"oci://{HOST}/lab/none:v1", **mirror(oci_registry.url)).reason == "SourceNotFound"
    assert pod.fetch(f"oci://{HOST}/UPPER", **mirror(oci_registry.url)).reason == "SourceInvalid"


def test_a_registry_with_a_login_takes_the_pull_secret(closed_registry: Registry, pod: Pod) -> None:
    closed_registry.push("lab/facts", "v1", *TITLED)
    uri, settings = f"oci://{HOST}/lab/facts:v1", mirror(closed_registry.url)
    assert pod.fetch(uri, pull_secret(HOST), **settings).status == 0
    assert pod.files() == FILES
    docker = {"mirrors": json.dumps({"docker.io": closed_registry.url})}
    assert pod.fetch("oci://docker.io/lab/facts:v1", pull_secret("https://index.docker.io/v1/"), **docker).status == 0
    packed = {HOST: {"auth": b64encode(f"{USER}:{PASSWORD}".encode()).decode()}}
    assert pod.fetch(uri, {".dockerconfigjson": json.dumps({"auths": packed})}, **settings).status == 0
    for secret, words in (
        ({}, "add .dockerconfigjson to the Secret"),
        (pull_secret("elsewhere.org"), "does not accept .dockerconfigjson"),
        ({".dockerconfigjson": "no JSON, canary"}, "is malformed"),
    ):
        outcome = pod.fetch(uri, secret, **settings)
        assert (outcome.reason, words in outcome.message) == ("SourceUnauthorized", True), outcome.message


def test_a_token_service_is_asked_with_the_login_for_each_token(oci_registry: Registry, pod: Pod) -> None:
    oci_registry.push("lab/facts", "v1", *TITLED)
    server = FileServer()
    with_tokens(oci_registry, server)
    with serving(server):
        outcome = pod.fetch(f"oci://{HOST}/lab/facts:v1", pull_secret(HOST), **mirror(server.url))
        assert (outcome.status, pod.files()) == (0, FILES), outcome.log
        assert sum(request.path == "/token" for request in server.requests) == 3  # manifest and two blobs
        denied = pod.fetch(f"oci://{HOST}/lab/facts:v1", {}, **mirror(server.url))
    assert denied.reason == "SourceUnauthorized"


def test_where_blobs_are_kept_cannot_ask_for_the_login(oci_registry: Registry, pod: Pod) -> None:
    oci_registry.push("lab/facts", "v1", *TITLED)
    server = FileServer()
    with serving(FileServer()) as store:
        steal = {"WWW-Authenticate": f'Bearer realm="{store.url}/steal",scope="repository:x:pull"'}
        store.answer = lambda _request: Reply(401, headers=steal)
        with_tokens(oci_registry, server, blobs=store.url.replace("127.0.0.1", "localhost"))
        with serving(server):
            settings = {**mirror(server.url), "hosts": "127.0.0.1,localhost"}
            outcome = pod.fetch(f"oci://{HOST}/lab/facts:v1", pull_secret(HOST), **settings)
        assert (outcome.reason, len(store.requests) > 0) == ("SourceUnauthorized", True)
        assert {request.headers.get("authorization") for request in store.requests} == {None}
        assert "/steal" not in [request.path for request in store.requests]
