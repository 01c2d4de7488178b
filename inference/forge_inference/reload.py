"""--reload: a new process whenever the source changes. For development."""

import signal
import subprocess
import sys
import time
from pathlib import Path

_LOOK = 0.5  # seconds


def run(words: list[str]) -> int:
    """Run the server as a child until it is interrupted; its exit status."""
    command = [sys.executable, "-m", "forge_inference", *(word for word in words if word != "--reload")]
    while True:
        before, child = _source(), subprocess.Popen(command)
        try:
            while child.poll() is None or before == _source():
                time.sleep(_LOOK)
                if before != _source():
                    break
            sys.stderr.write("the source has changed: starting again\n")
        except KeyboardInterrupt:
            return _ended(child)
        _ended(child)


def _source() -> dict[Path, float]:
    return {path: path.stat().st_mtime for path in Path(__file__).parent.rglob("*.py")}


def _ended(child: "subprocess.Popen[bytes]") -> int:
    if child.poll() is None:
        child.send_signal(signal.SIGTERM)
    return child.wait()
