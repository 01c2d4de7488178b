"""Settings, and the process as a person and as a kubelet start it."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from forge_inference import settings
from forge_inference.__main__ import main
from tests.harness.places import ROOT
from tests.support.checkpoints import a_real_pair
from tests.support.ports import free_port
from tests.support.waiting import until


def test_a_flag_wins_over_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORGE_PORT", "9000")
    monkeypatch.setenv("FORGE_CHECKPOINT", "/a/run-7")
    found = settings.read(["--base-model", "/b", "--port", "9001", "--no-double-quant"])
    assert (found.port, found.name, found.double_quant) == (9001, "run-7", False)


def test_a_missing_or_wrong_setting_names_flag_and_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "last-words"
    monkeypatch.setenv("FORGE_TERMINATION_LOG", str(log))
    assert main(["--base-model", "/b"]) == 2
    assert "--checkpoint (FORGE_CHECKPOINT)" in capsys.readouterr().err
    assert main(["--checkpoint", "/a", "--base-model", "/b", "--port", "0"]) == 2
    assert json.loads(log.read_text())["reason"] == "InvalidSettings"


def test_a_plan_is_for_a_quantised_base_model() -> None:
    pair = ["--checkpoint", "/a", "--base-model", "/b"]
    with pytest.raises(settings.InvalidSettings, match=r"--plan \(FORGE_PLAN\): dequantized is a way"):
        settings.read([*pair, "--plan", "dequantized", "--quantization", "none"])
    assert settings.read([*pair, "--plan", "nf4"]).plan == "nf4"


def test_another_checkpoint_is_served_as_the_first_but_for_what_was_asked(tmp_path: Path) -> None:
    pair = ["--checkpoint", "/a/run-7", "--base-model", "/b", "--max-batch", "5"]
    first = settings.read([*pair, "--plan", "dequantized", "--model-roots", f"{tmp_path}, {ROOT}"])
    assert first.roots == [tmp_path, ROOT]
    as_before = first.instead(Path("/a/run-8"), None)
    assert (as_before.name, as_before.max_batch, as_before.plan) == ("run-8", 5, "dequantized")
    plain = first.instead(Path("/a/run-8"), quantize=False)
    assert (plain.quantization, plain.plan) == ("none", "auto"), "a plan is for a quantised base model"
    assert plain.instead(Path("/a"), quantize=True).quantization == "nf4"
    named = settings.read([*pair, "--model-name", "mine"])
    assert named.instead(Path("/a/run-8"), None).name == "mine"
    with pytest.raises(settings.InvalidSettings, match=r"--model-roots \(FORGE_MODEL_ROOTS\): there is no folder /c"):
        settings.read([*pair, "--model-roots", "/c"])


def start(*words: str, **environment: str) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "forge_inference", *words]
    path = os.pathsep.join([str(ROOT / "inference")])
    return subprocess.Popen(command, env={**os.environ, "PYTHONPATH": path, **environment}, stderr=subprocess.PIPE)


@contextmanager
def serving(*words: str, limit: float) -> Iterator[tuple[str, str]]:
    """The addresses of the API and of the admin port, once it is ready; at the end it must end well."""
    port, admin = free_port(), free_port()
    process = start(*words, "--port", str(port), "--admin-port", str(admin), "--log-level", "warning")
    client = httpx.Client(base_url=f"http://127.0.0.1:{admin}")  # for all looks: to make one is work

    def ready() -> bool:
        assert process.poll() is None, process.stderr and process.stderr.read()
        try:
            return client.get("/readyz").is_success
        except httpx.TransportError:
            return False

    try:
        with client:
            until(ready, limit=limit, what="the server to be ready")
        yield f"http://127.0.0.1:{port}", f"http://127.0.0.1:{admin}"
    finally:
        process.terminate()
        _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors.decode()


@pytest.mark.model
def test_a_start_that_fails_leaves_last_words(tmp_path: Path) -> None:
    log = tmp_path / "last-words"
    ports = {"FORGE_PORT": str(free_port()), "FORGE_ADMIN_PORT": str(free_port())}
    process = start("--checkpoint", "/none", "--base-model", "/none", FORGE_TERMINATION_LOG=str(log), **ports)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 1
    assert b"CheckpointNotFound" in errors
    assert json.loads(log.read_text())["reason"] == "CheckpointNotFound"


@pytest.mark.model
@pytest.mark.parametrize("workers", [1, 2])
def test_the_server_starts_answers_and_ends_when_asked(tmp_path: Path, workers: int) -> None:
    base, adapter = a_real_pair(tmp_path)
    port, admin = free_port(), free_port()
    process = start(
        *("--checkpoint", str(adapter), "--base-model", str(base), "--quantization", "none"),
        *("--port", str(port), "--admin-port", str(admin), "--compute-dtype", "float32", "--max-model-len", "128"),
        *("--workers", str(workers)),
        # As the operator would, and in spite of what an author adds.
        FORGE_CHECKPOINT_URI="pvc://models/adapter",
        FORGE_MODEL_ROOTS=str(tmp_path),
    )

    def ready() -> bool:
        assert process.poll() is None
        try:
            return httpx.get(f"http://127.0.0.1:{admin}/readyz").is_success
        except httpx.TransportError:
            return False

    try:
        until(ready, limit=120, what="the server to be ready")
        answer = httpx.post(f"http://127.0.0.1:{port}/api/v1/generate", json={"text": "gene", "max_new_tokens": 4})
        assert answer.status_code == 200, answer.text
        other = httpx.post(f"http://127.0.0.1:{port}/api/v1/load-model", json={"model_path": str(adapter)})
        assert (other.status_code, "spec.checkpoint.uri" in other.text) == (403, True)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=120)
        assert process.returncode == 0
    finally:
        process.kill()


@pytest.mark.model
def test_a_lexicon_that_cannot_be_read_is_named_in_the_last_words(tmp_path: Path) -> None:
    log, own = tmp_path / "last-words", tmp_path / "genes.tsv"
    own.write_text("notes")
    process = start("--checkpoint", "/a", "--base-model", "/b", "--lexicons", str(own), FORGE_TERMINATION_LOG=str(log))
    process.communicate(timeout=120)
    assert process.returncode == 2
    words = json.loads(log.read_text())
    assert words["reason"] == "InvalidSettings"
    assert f"--lexicons (FORGE_LEXICONS): {own}: " in words["message"]


@pytest.mark.model
def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        process = start("--checkpoint", "/a", "--base-model", "/b", "--port", str(port))
        _, errors = process.communicate(timeout=120)
    assert process.returncode == 2
    assert f"--port (FORGE_PORT): cannot listen on 127.0.0.1:{port}".encode() in errors
