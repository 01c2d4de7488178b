"""The hub's API, spoken by the real client library, and its redirects to where the bytes are."""

import json
import random
from collections.abc import Iterator

import pytest

from tests.support.fetching import Pod
from tests.support.fileserver import FileServer, Reply, serving
from tests.support.hub import COMMIT, Hub

WEIGHTS = random.Random(1).randbytes(2_500_000)
FILES = {"config.json": b"{}", "model.safetensors": WEIGHTS, "sub/tokenizer.json": b"[]"}
OTHERS = {"pytorch_model.bin": b"pickle", "original/consolidated.00.pth": b"pickle", "model.gguf": b"GGUF"}
URI = "hf://lab/gene-facts"


@pytest.fixture
def hub() -> Iterator[Hub]:
    with serving(FileServer()) as cdn:
        hub = Hub({**FILES, **OTHERS}, cdn=cdn)
        with serving(hub.server):
            yield hub


def test_a_branch_is_pinned_to_its_commit_and_other_formats_stay(hub: Hub, pod: Pod) -> None:
    outcome = pod.fetch(URI, HF_ENDPOINT=hub.server.url)
    assert (outcome.status, pod.files()) == (0, FILES)
    assert pod.facts()["revision"] == COMMIT
    assert all(COMMIT in request.path for request in hub.server.requests if "/resolve/" in request.path)


def test_without_safetensors_other_formats_come_so_that_they_can_be_named(hub: Hub, pod: Pod) -> None:
    hub.files = {"config.json": b"{}", "pytorch_model.bin": b"pickle"}
    assert pod.fetch(f"{URI}@main", HF_ENDPOINT=hub.server.url).status == 0
    assert set(pod.files()) == {"config.json", "pytorch_model.bin"}


def test_a_revision_is_asked_for_after_the_at_or_by_a_setting(hub: Hub, pod: Pod) -> None:
    hub.branches["refs/pr/1"] = "f" * 40
    for uri, revision in ((f"{URI}@refs/pr/1", ""), (URI, "refs/pr/1"), (f"{URI}@{'f' * 40}", "f" * 40)):
        assert pod.fetch(uri, HF_ENDPOINT=hub.server.url, revision=revision).status == 0
        assert pod.facts()["revision"] == "f" * 40
    outcome = pod.fetch(f"{URI}@main", HF_ENDPOINT=hub.server.url, revision="refs/pr/1")
    assert (outcome.reason, "keep one of them" in outcome.message) == ("SourceInvalid", True)
    assert pod.fetch(f"{URI}@nope", HF_ENDPOINT=hub.server.url).reason == "SourceNotFound"


def test_a_token_goes_to_the_hub_and_not_to_where_it_redirects(hub: Hub, pod: Pod) -> None:
    hub.token = "token-canary"
    assert pod.fetch(URI, {"HF_TOKEN": "token-canary"}, HF_ENDPOINT=hub.server.url).status == 0
    assert hub.cdn is not None
    assert [request.headers.get("authorization") for request in hub.cdn.requests] == [None]
    for secret, words in (({}, "add HF_TOKEN to the Secret"), ({"HF_TOKEN": "x-canary"}, "does not accept HF_TOKEN")):
        outcome = pod.fetch(URI, secret, HF_ENDPOINT=hub.server.url)
        assert (outcome.reason, words in outcome.message) == ("SourceUnauthorized", True), outcome.message


def test_a_mirror_stands_in_for_the_hub(hub: Hub, pod: Pod) -> None:
    outcome = pod.fetch(URI, mirrors=f'{{"huggingface.co": "{hub.server.url}"}}', hosts="127.0.0.1")
    assert (outcome.status, pod.files()) == (0, FILES)


def test_without_mirror_and_permission_the_hub_is_not_asked(pod: Pod) -> None:
    outcome = pod.fetch(URI)
    assert outcome.reason == "SourceDenied"
    assert "ask the administrator to add huggingface.co" in outcome.message


def test_where_the_bytes_are_must_be_allowed_too(hub: Hub, pod: Pod) -> None:
    hub.cdn_host = "localhost"
    outcome = pod.fetch(URI, HF_ENDPOINT=hub.server.url)
    assert outcome.reason == "SourceDenied"
    assert "downloads from localhost, to which http://127.0.0.1" in outcome.message
    assert pod.fetch(URI, HF_ENDPOINT=hub.server.url, hosts="127.0.0.1,localhost").status == 0


def test_content_that_is_not_what_the_hub_says_is_refused_and_asked_for_anew(hub: Hub, pod: Pod) -> None:
    cdn = hub.cdn
    assert cdn is not None
    cdn.answer = lambda request: cdn.file(request, bytes(len(WEIGHTS)))
    outcome = pod.fetch(URI, HF_ENDPOINT=hub.server.url)
    assert outcome.reason == "SourceInvalid"
    assert "model.safetensors arrived with SHA-256" in outcome.message
    assert not pod.to.exists()
    cdn.answer = lambda _request: None
    assert pod.fetch(URI, HF_ENDPOINT=hub.server.url).status == 0


@pytest.mark.parametrize(
    "change",
    [
        {"rfilename": 7},
        {"blobId": 7},
        {"size": -1},
        {"size": "much"},
        {"lfs": {"sha256": None, "size": 1, "pointerSize": 1}},
        {"lfs": "x"},
    ],
)
def test_a_server_that_is_no_hub_is_told_so(hub: Hub, pod: Pod, change: dict[str, object]) -> None:
    listing = {"id": hub.repo, "sha": COMMIT, "siblings": [{"rfilename": "a", "size": 1, "blobId": "b", **change}]}
    hub.server.answer = lambda _request: Reply(200, json.dumps(listing).encode())
    outcome = pod.fetch(URI, HF_ENDPOINT=hub.server.url)
    assert (outcome.reason, "does not answer as a hub does" in outcome.message) == ("SourceInvalid", True)


def test_a_hub_that_is_down_is_unavailable(pod: Pod, hub: Hub) -> None:
    hub.server.statuses = [502] * 50
    outcome = pod.fetch(URI, HF_ENDPOINT=hub.server.url, timeout_seconds=3)
    assert outcome.reason == "SourceUnavailable"
    outcome = pod.fetch(URI, HF_ENDPOINT="http://127.0.0.1:1", timeout_seconds=3)
    assert outcome.reason == "SourceUnavailable"
