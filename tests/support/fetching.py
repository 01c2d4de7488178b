"""The program that fetches, started as the kubelet starts it."""

import json
import multiprocessing
import os
import sys
from dataclasses import dataclass
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

# Processes of their own, from one that has imported what takes long.
_SERVER = multiprocessing.get_context("forkserver")
_SERVER.set_forkserver_preload(["forge_inference.sources.__main__", "huggingface_hub.hf_api", "httpx2", "minio"])

# In every credential of the tests; no log, error or published file may hold it.
CANARY = "canary"


@dataclass(frozen=True)
class Outcome:
    """How it ended. `words` are the last words, or empty."""

    status: int
    log: str
    words: dict[str, str]

    @property
    def reason(self) -> str:
        return self.words.get("reason", "")

    @property
    def message(self) -> str:
        return self.words.get("message", "")


@dataclass(frozen=True)
class Pod:
    """A folder that stands for a pod's volumes, and the environment of its init container."""

    folder: Path
    volume: Path | None = None  # else a folder of it

    @property
    def to(self) -> Path:
        return (self.volume or self.folder / "fetched") / "checkpoint"

    def start(self, uri: str, secret: dict[str, str] | None = None, **settings: object) -> ForkServerProcess:
        """Begin. `settings` are FORGE_FETCH_* by their lower-case names; loopback is named among the hosts."""
        self.folder.mkdir(parents=True, exist_ok=True)
        if secret is not None:
            folder = self.folder / "credentials"
            folder.mkdir(exist_ok=True)
            for path in folder.iterdir():
                path.unlink()
            for key, value in secret.items():
                (folder / key).write_text(value + "\n")
            settings["credentials"] = folder
        wanted = {"uri": uri, "to": self.to, "hosts": "127.0.0.1", **settings}
        environment = {
            "FORGE_TERMINATION_LOG": str(self.folder / "last-words"),
            **{name: str(value) for name, value in wanted.items() if name.isupper()},
            **{f"FORGE_FETCH_{name.upper()}": str(value) for name, value in wanted.items() if not name.isupper()},
        }
        (self.folder / "last-words").unlink(missing_ok=True)
        process = _SERVER.Process(target=_program, args=(environment, self.folder / "log"))
        process.start()
        return process

    def ended(self, process: ForkServerProcess, *, limit: float = 300) -> Outcome:
        """Its end."""
        process.join(limit)
        status = process.exitcode
        process.kill()
        assert status is not None, f"not done within {limit:.0f} s"
        log, words = (self.folder / "log").read_text(), self.folder / "last-words"
        outcome = Outcome(status, log, json.loads(words.read_text()) if words.exists() else {})
        assert "Traceback" not in log, log
        assert CANARY not in log + outcome.message, log
        return outcome

    def fetch(self, uri: str, secret: dict[str, str] | None = None, **settings: object) -> Outcome:
        """From beginning to end."""
        return self.ended(self.start(uri, secret, **settings))

    def parts(self) -> list[Path]:
        """Files that are not whole yet, kept beside the folder."""
        return list(self.to.parent.glob(".checkpoint.downloads/work/*/parts/*.part"))

    def facts(self) -> dict[str, Any]:
        """What it says of the published folder."""
        found = json.loads((self.to / ".fetched.json").read_text())
        assert isinstance(found, dict)
        return found

    def files(self) -> dict[str, bytes]:
        """The published files."""
        paths = [path for path in self.to.rglob("*") if path.is_file() and path.name != ".fetched.json"]
        return {path.relative_to(self.to).as_posix(): path.read_bytes() for path in paths}


def _program(environment: dict[str, str], log: Path) -> None:
    """What `python -m forge_inference.sources fetch` does, in this environment alone."""
    from forge_inference.sources.__main__ import main

    for name in [name for name in os.environ if name.startswith(("FORGE_", "AWS_", "HF_"))]:
        del os.environ[name]
    os.environ.update(environment)
    with log.open("wb", buffering=0) as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    sys.exit(main(["fetch"]))
