"""What was downloaded once: restarts, other models, several pods at a time, no network at all."""

import random
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.fetching import Pod
from tests.support.fileserver import FileServer, serving
from tests.support.hub import COMMIT, Hub
from tests.support.waiting import until

WEIGHTS = random.Random(2).randbytes(4_000_000)
FILES = {"adapter_config.json": b"{}", "adapter_model.safetensors": WEIGHTS}
SIZE = sum(len(data) for data in FILES.values())
URI = "hf://lab/gene-facts"


@pytest.fixture
def hub() -> Iterator[Hub]:
    with serving(FileServer()) as cdn:
        hub = Hub(dict(FILES), cdn=cdn)
        with serving(hub.server):
            yield hub


def sent(hub: Hub) -> int:
    """Bytes of files, listings aside."""
    assert hub.cdn is not None
    files = sum("/resolve/" in request.path for request in hub.server.requests)
    return hub.cdn.sent + (len(FILES["adapter_config.json"]) if files else 0)


def test_the_second_start_downloads_nothing_and_shares_the_bytes(hub: Hub, tmp_path: Path) -> None:
    first, second = Pod(tmp_path / "first"), Pod(tmp_path / "second")
    cache = tmp_path / "cache"
    assert first.fetch(URI, HF_ENDPOINT=hub.server.url, cache=cache).status == 0
    asked = len(hub.server.requests)
    assert second.fetch(URI, HF_ENDPOINT=hub.server.url, cache=cache).status == 0
    assert [request.path for request in hub.server.requests[asked:]] == [f"/api/models/{hub.repo}/revision/main"]
    assert (sent(hub), second.files()) == (SIZE, FILES)
    assert (first.facts()["fromCache"], second.facts()["fromCache"]) == (False, True)
    assert first.facts()["digest"] == second.facts()["digest"]
    for name in FILES:  # hard links: one file, not writable
        found = (second.to / name).stat()
        assert (found.st_ino, found.st_mode & 0o222) == ((first.to / name).stat().st_ino, 0)


def test_what_changed_at_the_source_is_downloaded(hub: Hub, pod: Pod, tmp_path: Path) -> None:
    settings = {"HF_ENDPOINT": hub.server.url, "cache": tmp_path / "cache"}
    assert pod.fetch(URI, **settings).status == 0
    hub.files["adapter_config.json"] = b'{"r": 8}'
    hub.branches["main"] = "b" * 40
    assert pod.fetch(URI, **settings).status == 0
    assert pod.files()["adapter_config.json"] == b'{"r": 8}'
    assert pod.facts()["revision"] == "b" * 40


def test_offline_takes_what_the_cache_holds_and_asks_nobody(hub: Hub, pod: Pod, tmp_path: Path) -> None:
    settings = {"HF_ENDPOINT": hub.server.url, "cache": tmp_path / "cache"}
    denied = pod.fetch(URI, **settings, offline=True)
    assert (denied.status, denied.reason, hub.server.requests) == (1, "SourceDenied", [])
    assert "the cache does not hold hf://lab/gene-facts" in denied.message
    assert pod.fetch(URI, **settings).status == 0
    asked = len(hub.server.requests)
    for uri in (URI, f"{URI}@main", f"{URI}@{COMMIT}"):
        other = Pod(tmp_path / uri.replace("/", "-"))
        assert other.fetch(uri, **settings, offline=True).status == 0
        assert (other.files(), other.facts()["revision"]) == (FILES, COMMIT)
    other = Pod(tmp_path / "other")
    assert other.fetch(f"{URI}@dev", **settings, offline=True).reason == "SourceDenied"
    assert other.fetch(URI, **settings, offline=True, max_bytes=1000).reason == "SourceTooLarge"
    pinned = Pod(tmp_path / "pinned")
    assert pinned.fetch("oci://other.org/a/b", **settings, offline=True, sha256=pod.facts()["digest"]).status == 0
    assert (pinned.files(), len(hub.server.requests)) == (FILES, asked)


def test_a_source_that_is_down_does_not_stop_what_is_pinned_and_cached(hub: Hub, pod: Pod, tmp_path: Path) -> None:
    settings = {"HF_ENDPOINT": hub.server.url, "cache": tmp_path / "cache"}
    assert pod.fetch(URI, **settings).status == 0
    digest = pod.facts()["digest"]
    hub.server.statuses = [503] * 20
    assert pod.fetch(URI, **settings, timeout_seconds=60, sha256=digest).status == 0
    assert pod.facts()["fromCache"]


def test_a_damaged_cache_is_noticed_and_filled_anew(hub: Hub, tmp_path: Path) -> None:
    settings = {"HF_ENDPOINT": hub.server.url, "cache": tmp_path / "cache"}
    first, second = Pod(tmp_path / "first"), Pod(tmp_path / "second")
    assert first.fetch(URI, **settings).status == 0
    (damaged,) = (tmp_path / "cache" / "content").glob("*/adapter_model.safetensors")
    damaged.unlink()
    damaged.write_bytes(WEIGHTS[:-1])
    assert second.fetch(URI, **settings).status == 0
    assert (second.files(), second.facts()["fromCache"]) == (FILES, False)


def test_pinned_content_is_hashed_again_even_where_it_is_linked(hub: Hub, tmp_path: Path) -> None:
    settings = {"HF_ENDPOINT": hub.server.url, "cache": tmp_path / "cache"}
    first, second = Pod(tmp_path / "first"), Pod(tmp_path / "second")
    assert first.fetch(URI, **settings).status == 0
    pin = first.facts()["digest"]
    (changed,) = (tmp_path / "cache" / "content").glob("*/adapter_model.safetensors")
    changed.chmod(0o644)
    changed.write_bytes(b"x" + WEIGHTS[1:])
    outcome = second.fetch(URI, **settings, sha256=pin)
    assert (outcome.reason, "was damaged" in outcome.message) == ("SourceUnavailable", True)
    assert second.fetch(URI, **settings, sha256=pin).status == 0
    assert second.files() == FILES


def test_killed_in_the_middle_it_continues_and_nothing_was_published(hub: Hub, pod: Pod) -> None:
    assert hub.cdn is not None
    cdn, halfway, go = hub.cdn, threading.Event(), threading.Event()

    def hold() -> None:
        if cdn.sent > 2_000_000:
            halfway.set()
            go.wait(60)

    cdn.pace = hold
    process = pod.start(URI, HF_ENDPOINT=hub.server.url)
    try:
        assert halfway.wait(60)
        until(lambda: _partial(pod) > 1_000_000, limit=120, what="half a file on disk")
        assert not pod.to.exists()
    finally:
        process.kill()
        process.join()
        go.set()
    kept, before = _partial(pod), cdn.sent
    assert kept > 1_000_000
    outcome = pod.fetch(URI, HF_ENDPOINT=hub.server.url)
    assert (outcome.status, pod.files()) == (0, FILES)
    assert f"continuing after {kept} bytes" in outcome.log
    (asked,) = (request.headers["range"] for request in cdn.requests[1:])
    assert (asked, before <= SIZE) == (f"bytes={kept}-", True)


def _partial(pod: Pod) -> int:
    return max((path.stat().st_size for path in pod.parts()), default=0)


def test_two_at_once_on_one_cache_download_once(hub: Hub, tmp_path: Path) -> None:
    assert hub.cdn is not None
    cdn, second_waits = hub.cdn, threading.Event()
    cdn.pace = lambda: second_waits.wait(60)
    pods = [Pod(tmp_path / name) for name in ("first", "second")]
    settings = {"HF_ENDPOINT": hub.server.url, "cache": tmp_path / "cache"}
    processes = [pod.start(URI, **settings) for pod in pods]
    until(lambda: sum("/api/" in request.path for request in hub.server.requests) == 2, limit=60, what="both to ask")
    second_waits.set()
    outcomes = [pod.ended(process) for pod, process in zip(pods, processes, strict=True)]
    assert [outcome.status for outcome in outcomes] == [0, 0]
    assert [pod.files() for pod in pods] == [FILES, FILES]
    assert sent(hub) == SIZE
    assert sorted(pod.facts()["fromCache"] for pod in pods) == [False, True]


def test_a_restart_of_the_container_finds_its_folder_and_replaces_another(hub: Hub, pod: Pod) -> None:
    for expected in ("downloaded", "is there already"):
        assert expected in pod.fetch(URI, HF_ENDPOINT=hub.server.url).log
    hub.files["adapter_config.json"] = b'{"r": 16}'
    hub.branches["main"] = "c" * 40
    assert pod.fetch(URI, HF_ENDPOINT=hub.server.url).status == 0
    assert pod.files()["adapter_config.json"] == b'{"r": 16}'
    assert sorted(path.name for path in pod.to.parent.iterdir()) == [".checkpoint.downloads", "checkpoint"]
