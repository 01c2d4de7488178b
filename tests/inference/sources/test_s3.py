"""A real S3 server."""

import random
from pathlib import Path

import pytest

from tests.support.cutting import cutting
from tests.support.fetching import Pod
from tests.support.ports import free_port
from tests.support.s3 import S3Server
from tests.support.waiting import until

FILES = {"adapter_config.json": b"{}", "adapter_model.safetensors": bytes(range(256)) * 8000, "a b/ü+%.txt": b"x"}
URI = "s3://models/runs/7"


@pytest.fixture
def server(s3_server: S3Server) -> S3Server:
    s3_server.put("models", "runs/7", FILES)
    s3_server.put("models", "runs/70", {"adapter_config.json": b"not this one"})
    return s3_server


def test_what_is_below_a_prefix_becomes_a_folder(server: S3Server, pod: Pod) -> None:
    outcome = pod.fetch(URI, server.secret)
    assert (outcome.status, pod.files()) == (0, FILES), outcome.log
    assert pod.fetch("s3://models/runs/7/", server.secret).status == 0
    assert pod.files() == FILES


def test_a_folder_that_was_fetched_and_uploaded_again_is_taken_without_what_we_wrote(
    server: S3Server, pod: Pod
) -> None:
    server.put("models", "again", {"adapter_config.json": b"{}", ".fetched.json": b"{}"})
    assert pod.fetch("s3://models/again", server.secret).status == 0
    assert list(pod.files()) == ["adapter_config.json"]


@pytest.mark.parametrize(
    ("uri", "change", "reason", "words"),
    [
        ("s3://models/runs/8", {}, "SourceNotFound", "no object below this prefix"),
        ("s3://no-such-bucket/x", {}, "SourceNotFound", "NoSuchBucket"),
        (URI, {"AWS_SECRET_ACCESS_KEY": "wrong-canary"}, "SourceUnauthorized", "does not accept AWS_ACCESS_KEY_ID"),
        (URI, {"AWS_ACCESS_KEY_ID": "nobody"}, "SourceUnauthorized", "does not accept AWS_ACCESS_KEY_ID"),
        (URI, {"AWS_SECRET_ACCESS_KEY": ""}, "SourceUnauthorized", "Add AWS_SECRET_ACCESS_KEY to the Secret"),
        (URI, {"AWS_ACCESS_KEY_ID": ""}, "SourceUnauthorized", "Add AWS_ACCESS_KEY_ID to the Secret"),
        (
            URI,
            {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""},
            "SourceUnauthorized",
            "add AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY to the Secret",
        ),
        (URI, {"AWS_ENDPOINT_URL": "https://store.elsewhere.org"}, "SourceDenied", "add store.elsewhere.org"),
        (URI, {"AWS_ENDPOINT_URL": "store:9000/x"}, "SourceInvalid", "correct AWS_ENDPOINT_URL in the Secret"),
        ("s3://Bad_Bucket/x", {}, "SourceInvalid", "no name of a bucket"),
    ],
)
def test_each_trouble_has_its_reason_and_a_remedy(
    server: S3Server, pod: Pod, uri: str, change: dict[str, str], reason: str, words: str
) -> None:
    outcome = pod.fetch(uri, {**server.secret, **change})
    assert (outcome.status, outcome.reason) == (1, reason), outcome.message
    assert words in outcome.message
    assert not pod.to.exists()


def test_a_secret_that_is_not_there_yet_is_asked_for_whatever_the_endpoint(
    server: S3Server, pod: Pod, tmp_path: Path
) -> None:
    volume = tmp_path / "no-secret"  # as the kubelet mounts an optional Secret that does not exist
    (volume / "..2026_11_26").mkdir(parents=True)
    (volume / "..data").symlink_to("..2026_11_26")
    outcome = pod.fetch(URI, credentials=volume, hosts="nothing")
    assert (outcome.reason, "the Secret is not there" in outcome.message) == ("SourceUnauthorized", True)
    assert pod.fetch(URI, server.secret).status == 0


def test_a_cut_connection_is_continued_and_nothing_fetched_twice(server: S3Server, pod: Pod) -> None:
    weights = random.Random(3).randbytes(6_000_000)
    server.put("models", "long", {"adapter_model.safetensors": weights})
    with cutting(server.port) as cutter:
        cutter.cuts = [2_000_000, 1_000_000]
        outcome = pod.fetch("s3://models/long", {**server.secret, "AWS_ENDPOINT_URL": cutter.url})
    assert (outcome.status, cutter.cuts) == (0, []), outcome.log
    assert pod.files() == {"adapter_model.safetensors": weights}
    assert len(weights) <= cutter.passed < len(weights) + 20_000  # the listing and the headers of four answers


def test_an_object_that_is_written_anew_meanwhile_is_no_mixture(server: S3Server, pod: Pod) -> None:
    server.put("models", "moving", {"weights": bytes(4_000_000)})
    with cutting(server.port) as cutter:
        cutter.cuts = [1_000_000, 0, 0, 0, 0]  # nothing comes until the object is another
        process = pod.start("s3://models/moving", {**server.secret, "AWS_ENDPOINT_URL": cutter.url})
        until(lambda: len(cutter.cuts) < 5, limit=60, what="the cut")
        server.put("models", "moving", {"weights": b"x" * 4_000_000})
        cutter.cuts.clear()
        outcome = pod.ended(process)
    assert (outcome.reason, "was written to during the download" in outcome.message) == ("SourceUnavailable", True)
    assert pod.fetch("s3://models/moving", server.secret).status == 0
    assert pod.files() == {"weights": b"x" * 4_000_000}


def test_an_object_of_several_parts_is_taken_like_any_other(server: S3Server, pod: Pod) -> None:
    weights = random.Random(4).randbytes(2**20) * 12
    server.put("models", "parts", {"weights": weights})
    assert pod.fetch("s3://models/parts", server.secret).status == 0
    assert pod.files() == {"weights": weights}


def test_it_recovers_when_the_secret_is_mended(server: S3Server, pod: Pod) -> None:
    assert pod.fetch(URI, {**server.secret, "AWS_SECRET_ACCESS_KEY": "wrong-canary"}).status == 1
    assert pod.fetch(URI, server.secret).status == 0
    assert pod.files() == FILES


def test_an_endpoint_that_is_down_is_unavailable(pod: Pod) -> None:
    secret = {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{free_port()}"}
    outcome = pod.fetch(URI, secret, timeout_seconds=3)
    assert outcome.reason == "SourceUnavailable"


def test_a_mirror_stands_in_for_amazon(server: S3Server, pod: Pod) -> None:
    secret = {key: value for key, value in server.secret.items() if key != "AWS_ENDPOINT_URL"}
    mirrors = f'{{"s3.amazonaws.com": "{server.url}"}}'
    assert pod.fetch(URI, {**secret, "AWS_REGION": "us-east-1"}, mirrors=mirrors, hosts="nothing").status == 0
    assert pod.files() == FILES
