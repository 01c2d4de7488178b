"""The container engine: the one that runs here, or one that we start for ourselves and end again."""

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from tests.harness import places
from tests.harness.errors import HarnessError
from tests.harness.packages import found, need
from tests.harness.steps import run, say, step

# A torch image with CUDA libraries is 6.4 GB, and building it holds it about twice for a while.
NEEDED_GB = 20
_STATE = places.CACHE / "engine"
_SOCKET = _STATE / "docker.sock"
_PIDFILE = _STATE / "docker.pid"
_WRAPPER = Path(__file__).parent / "node" / "runc-without-sys-resource"
_CAP_SYS_RESOURCE = 24  # linux/capability.h
# The engine outlives us; a process object that is collected while its process runs makes Python warn.
_outliving: list[subprocess.Popen[bytes]] = []


def ensure() -> None:
    """Have `docker` answer; DOCKER_HOST in our environment then points at the engine.

    Raises
    ------
    HarnessError
        There is no engine and none can be started here; the message says why and what to do.
    """
    if is_running():
        return
    if os.geteuid() != 0:
        raise HarnessError(
            "no container engine runs, and only root may start one: start Docker, or give --kubeconfig FILE"
        )
    need("dockerd", "docker", "runc", "iptables")
    free = shutil.disk_usage(places.CACHE.parent if places.CACHE.parent.exists() else "/").free / 1e9
    if free < NEEDED_GB:
        raise HarnessError(
            f"{free:.0f} GB of disk are free and {NEEDED_GB} GB are needed for images:"
            " free some, or move the caches with XDG_CACHE_HOME"
        )
    _start()


def is_running() -> bool:
    """Whether an engine answers: the machine's, or ours from an earlier run."""
    if _answers():
        return True
    os.environ["DOCKER_HOST"] = f"unix://{_SOCKET}"
    return _answers()


def stop() -> None:
    """End the engine that `ensure` started; one that was there before is left alone."""
    if not _PIDFILE.exists():
        return
    pid = int(_PIDFILE.read_text())
    with step("stopping the container engine that was started here"):
        if _runs(pid):
            os.kill(pid, signal.SIGTERM)
        _wait(lambda: not _runs(pid), 60, f"dockerd (process {pid}) did not end")
    _PIDFILE.unlink(missing_ok=True)


def stop_and_forget() -> None:
    """End our engine and remove every image and volume that it held."""
    stop()
    shutil.rmtree(_STATE, ignore_errors=True)


def docker(*words: str | Path, stdin: bytes | None = None, timeout: float | None = None) -> str:
    """Run the docker client; what it printed."""
    return run(["docker", *words], stdin=stdin, timeout=timeout)


def _start() -> None:
    _STATE.mkdir(parents=True, exist_ok=True)
    command = [
        str(found("dockerd")),
        "--data-root",
        str(_STATE / "data"),
        "--exec-root",
        str(_STATE / "exec"),
    ]
    command += ["--pidfile", str(_PIDFILE), "--host", f"unix://{_SOCKET}"]
    if not _may_set_resources():
        say("this machine lacks CAP_SYS_RESOURCE: privileged containers run through a wrapper that does not ask")
        command += ["--add-runtime", f"nores={_WRAPPER}", "--default-runtime", "nores"]
    with step("starting a container engine"), (_STATE / "log").open("wb") as log:
        daemon = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
        _outliving.append(daemon)
        failed = f"dockerd did not start; its log is {_STATE / 'log'}"
        _wait(lambda: _answers() or daemon.poll() is not None, 60, failed)
        if daemon.poll() is not None:
            tail = "\n".join((_STATE / "log").read_text(errors="replace").splitlines()[-5:])
            raise HarnessError(f"dockerd ended with status {daemon.returncode}:\n{tail}")


def _answers() -> bool:
    if found("docker") is None:
        return False
    done = subprocess.run(["docker", "info", "--format", "{{json .ServerVersion}}"], capture_output=True, check=False)
    try:
        return done.returncode == 0 and bool(json.loads(done.stdout))
    except ValueError:
        return False


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split(")")[-1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def _may_set_resources() -> bool:
    line = next(row for row in Path("/proc/self/status").read_text().splitlines() if row.startswith("CapBnd:"))
    return bool(int(line.split()[1], 16) >> _CAP_SYS_RESOURCE & 1)


def _wait(condition: Callable[[], bool], limit: float, failed: str) -> None:
    end = time.monotonic() + limit
    while not condition():
        if time.monotonic() > end:
            raise HarnessError(f"{failed} within {limit:.0f} s")
        time.sleep(0.2)
