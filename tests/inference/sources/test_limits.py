"""Size, room, time: before the first byte where it can be known, and while they come where it cannot."""

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from forge_inference.sources.errors import SourceError
from forge_inference.sources.progress import Progress
from tests.harness.places import ROOT
from tests.support.fetching import Pod
from tests.support.fileserver import serving
from tests.support.hub import Hub
from tests.support.waiting import until

FILES = {"config.json": b"{}", "model.safetensors": bytes(5_000_000)}
URI = "hf://lab/gene-facts"


@pytest.fixture
def hub() -> Iterator[Hub]:
    hub = Hub(dict(FILES))
    with serving(hub.server):
        yield hub


def asked_for_files(hub: Hub) -> bool:
    return any("/resolve/" in request.path for request in hub.server.requests)


def test_what_is_too_large_is_refused_before_it_comes(hub: Hub, pod: Pod) -> None:
    outcome = pod.fetch(URI, HF_ENDPOINT=hub.server.url, max_bytes=4_000_000)
    assert (outcome.status, outcome.reason) == (1, "SourceTooLarge")
    assert "5.0 MB or more; 4.0 MB are allowed" in outcome.message
    assert not asked_for_files(hub)


def test_a_source_that_sends_more_than_it_told_is_cut_off(hub: Hub, pod: Pod) -> None:
    hub.sizes = {"model.safetensors": 1000}
    outcome = pod.fetch(URI, HF_ENDPOINT=hub.server.url, max_bytes=4_000_000)
    assert outcome.reason == "SourceInvalid"
    assert "longer than the source told" in outcome.message


def test_a_disk_without_room_is_told_before_it_is_filled(hub: Hub, pod: Pod) -> None:
    hub.sizes = {"model.safetensors": 10**16}
    outcome = pod.fetch(URI, HF_ENDPOINT=hub.server.url, max_bytes=10**17)
    assert outcome.reason == "SourceDiskFull"
    assert re.search(r"10000000000000002 bytes are needed and \d+ are free", outcome.message)
    assert not asked_for_files(hub)


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A file system of 8 MB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=8m", "none", folder], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"a file system cannot be mounted here: {mounted.stderr.decode()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


def test_a_disk_that_fills_up_meanwhile_is_told_and_recovers(hub: Hub, small: Path, tmp_path: Path) -> None:
    pod, ballast = Pod(tmp_path / "pod", small), small / "ballast"

    def fill() -> None:
        """To the last byte, once, whoever of the two writes faster."""
        if hub.server.sent >= 10**6 and not ballast.exists():
            with suppress(OSError):
                ballast.write_bytes(bytes(8_000_000))

    hub.server.pace = fill
    outcome = pod.fetch(URI, HF_ENDPOINT=hub.server.url)
    assert (outcome.status, outcome.reason) == (1, "SourceDiskFull"), outcome.log
    assert "is full (No space left on device" in outcome.message
    hub.server.pace = lambda: None
    ballast.unlink()
    assert pod.fetch(URI, HF_ENDPOINT=hub.server.url).status == 0
    assert pod.files() == FILES


def test_another_file_system_gets_a_copy_that_is_checked(hub: Hub, small: Path, tmp_path: Path) -> None:
    pod, cache = Pod(small / "pod"), tmp_path / "cache"
    assert pod.fetch(URI, HF_ENDPOINT=hub.server.url, cache=cache).status == 0
    assert pod.files() == FILES
    (content,) = (cache / "content").glob("*/model.safetensors")
    content.chmod(0o644)
    content.write_bytes(b"x" + FILES["model.safetensors"][1:])
    other = Pod(small / "other")
    subprocess.run(["rm", "-r", pod.to], check=True)
    outcome = other.fetch(URI, HF_ENDPOINT=hub.server.url, cache=cache)
    assert (outcome.reason, "was damaged" in outcome.message) == ("SourceUnavailable", True)
    assert other.fetch(URI, HF_ENDPOINT=hub.server.url, cache=cache).status == 0
    assert other.files() == FILES


def test_the_time_limit_ends_a_download_in_the_middle_and_what_came_is_kept(hub: Hub, pod: Pod) -> None:
    stuck = threading.Event()
    hub.server.pace = lambda: hub.server.sent < 3 * 10**6 or stuck.wait(60)
    process = pod.start(URI, HF_ENDPOINT=hub.server.url, timeout_seconds=300)
    until(lambda: any(path.stat().st_size > 10**6 for path in pod.parts()), limit=120, what="half a file on disk")
    os.kill(process.pid or 0, signal.SIGALRM)  # as the timer does, which another test waits for
    outcome = pod.ended(process)
    stuck.set()
    assert (outcome.status, outcome.reason) == (1, "SourceUnavailable")
    assert "Not done within 300 s. What has come is kept, and the next start continues there" in outcome.message
    assert "continuing after" in pod.fetch(URI, HF_ENDPOINT=hub.server.url).log


def test_a_container_that_is_asked_to_end_ends_at_once(hub: Hub, pod: Pod) -> None:
    stuck = threading.Event()
    hub.server.pace = lambda: hub.server.sent < 3 * 10**6 or stuck.wait(60)
    process = pod.start(URI, HF_ENDPOINT=hub.server.url)
    until(pod.parts, limit=120, what="a download")
    process.terminate()
    assert pod.ended(process).status == 143
    stuck.set()


def test_progress_is_told_every_few_seconds_with_speed_and_share(caplog: pytest.LogCaptureFixture) -> None:
    now = 0
    progress = Progress(100_000_000, 10**9, clock=lambda: now)
    progress.found(20_000_000)
    with caplog.at_level("INFO"):
        for now in range(1, 13):  # noqa: B007 - the clock
            progress.add(2_000_000)
    assert caplog.messages == ["30.0 MB of 100.0 MB (30 %), 2.0 MB/s", "40.0 MB of 100.0 MB (40 %), 2.0 MB/s"]


def test_bytes_of_unknown_number_are_counted_against_the_limit() -> None:
    progress = Progress(None, 1000)
    progress.add(1000)
    with pytest.raises(SourceError, match=r"1.0 kB or more; 1.0 kB are allowed"):
        progress.add(1)


def test_a_download_needs_little_memory_and_no_torch(hub: Hub, pod: Pod, tmp_path: Path) -> None:
    hub.files = {"model.safetensors": os.urandom(2**20) * 200}
    code = (
        "import sys, re; from forge_inference.sources.__main__ import main; status = main(sys.argv[1:]);"
        "heavy = {'torch', 'transformers', 'fastapi', 'numpy'} & set(sys.modules);"
        "print(status, sorted(heavy), re.search(r'VmHWM:\\s+(\\d+)', open('/proc/self/status').read())[1])"
    )
    settings = ["--to", str(pod.to), "--hosts", "127.0.0.1"]
    done = subprocess.run(
        [sys.executable, "-c", code, "fetch", URI, *settings],
        env={**os.environ, "HF_ENDPOINT": hub.server.url, "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(ROOT / "inference")},
        capture_output=True,
        check=True,
        text=True,
    )
    status, heavy, peak = re.fullmatch(r"(\d+) (\[.*\]) (\d+)\n", done.stdout).groups()  # type: ignore[union-attr]
    assert (status, heavy) == ("0", "[]"), done.stderr
    assert int(peak) < 150 * 1024  # kilobytes
