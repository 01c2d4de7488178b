"""Whatever a checkpoint's author wrote, it is refused with a reason: soon, in little memory, and without obeying it."""

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.harness.places import ROOT
from tests.inference.checkpoint import hostile
from tests.inference.engine.tiny import a_base, an_adapter
from tests.support.trainers import Canary

LONGEST, MOST = 10.0, 256 * 2**20  # seconds of one, bytes of all

# Runs in a process of its own: looks at each folder, and tells time and reason. An audit hook sees what is attempted.
_WATCHED = """
import json, sys, time
from pathlib import Path
from forge_inference.checkpoint import facts, tokenizer  # what is imported later would look like an attack
from forge_inference.checkpoint.inspection import inspect

attempts = []
def watch(event, arguments):
    if event.startswith(("socket.", "subprocess.", "os.exec", "os.system", "os.fork", "pickle.", "shutil.", "ctypes.")):
        attempts.append(event)
    elif event in ("exec", "compile", "import"):
        attempts.append(f"{event} {arguments[0]!r:.60}")
    elif event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax+"):
        attempts.append(f"open {arguments[0]} for writing")

def most():  # bytes of memory until now; what `resource` tells begins with the memory of the parent
    return 1024 * int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])

base, folders = Path(sys.argv[1]), [Path(line.rstrip("\\n")) for line in sys.stdin]
assert inspect(folders[0], base).served  # a good one, so that only what is done to it can be the reason
sys.addaudithook(watch)
before = most()
for folder in folders[1:]:
    start = time.monotonic()
    found = inspect(folder, base)
    problems = [(each.reason, str(each)) for each in found.findings.problems]
    grown = most() - before
    print(json.dumps([found.served, problems, time.monotonic() - start, grown, attempts]), flush=True)
    attempts.clear()
"""


@pytest.fixture(scope="module")
def looked(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What was found of each hostile run, by its name."""
    place = tmp_path_factory.mktemp("hostile")
    base = a_base(place / "base")
    folders = [an_adapter(place / "good")]
    names = []
    for number, (name, change) in enumerate(hostile.files()):
        run = an_adapter(place / str(number) / "run")
        change(run)
        names.append(name)
        folders.append(run)
    script = place / "watched.py"
    script.write_text(_WATCHED)
    done = subprocess.run(
        [sys.executable, str(script), str(base)],
        input="\n".join(map(str, folders)),
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "PYTHONPATH": str(ROOT / "inference")},
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert list(place.rglob("canary")) == []
    return dict(zip(names, map(json.loads, done.stdout.splitlines()), strict=True))


def test_there_are_many_of_them() -> None:
    names = [name for name, _ in hostile.files()]
    assert len(set(names)) == len(names) >= 100


def test_the_canary_sings_when_it_is_unpickled(tmp_path: Path) -> None:
    pickle.loads(pickle.dumps(Canary(tmp_path / "canary")))  # noqa: S301 - what the code under test must not do
    assert (tmp_path / "canary").exists()


@pytest.mark.parametrize("name", [name for name, _ in hostile.files()])
def test_a_hostile_run_is_refused_with_a_reason(looked: dict[str, Any], name: str) -> None:
    served, problems, seconds, _, attempts = looked[name]
    assert not served
    assert problems
    assert all(reason.startswith(("Checkpoint", "BaseModelMismatch")) for reason, _ in problems), problems
    assert all(len(message) < 2000 for _, message in problems)
    assert seconds < LONGEST
    assert attempts == []


def test_all_of_them_together_take_little_memory(looked: dict[str, Any]) -> None:
    grown = {name: found[3] for name, found in looked.items()}
    assert max(grown.values()) < MOST, sorted(grown.items(), key=lambda item: item[1])[:3]
