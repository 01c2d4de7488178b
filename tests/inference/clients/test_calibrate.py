"""A lab's way from a server to a confidence that means something, with real processes and the tiny model."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.harness.places import ROOT
from tests.inference.calibrate.test_program import started
from tests.inference.clients.conftest import Served, a_server
from tests.inference.engine.tiny import adapter_tensors, an_adapter
from tests.support.profiles import a_question, written
from tests.support.waiting import until

pytestmark = pytest.mark.model
QUESTIONS = 220


def some_questions(path: Path) -> Path:
    """The tiny model knows nothing, so each answer is expected as often as the others: one temperature mends that."""
    expected = ("yes", "no", "maybe")
    return written(path, (a_question(number, expected=expected[number % 3]) for number in range(QUESTIONS)))


def sure(api: httpx.Client, **changes: Any) -> dict[str, Any]:
    asked = {"query": "Is HBB a channel?", "query_type": "gene_function", "answer_form": "yes_no_maybe", **changes}
    answer = api.post("/api/v1/genomics/query", json=asked)
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()["confidence"]
    return told


async def measured(url: str, questions: Path, out: Path) -> None:
    process = await started(questions, "--url", url, "--out", out, "--plot", out.with_suffix(".svg"))
    told, errors = await process.communicate()
    assert process.returncode == 0, errors.decode() + told.decode()
    assert f"{QUESTIONS} answers measured".encode() in told


def test_measured_mounted_and_called_calibrated_until_another_adapter_answers(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    out = tmp_path / "lab.json"
    questions = some_questions(tmp_path / "lab.jsonl")
    with a_server(tmp_path_factory.mktemp("before")) as served:
        with httpx.Client(base_url=served.url, timeout=120) as api:
            plain = sure(api)
            assert (plain["kind"], plain["calibration_mismatch"]) == ("uncalibrated", None)
        for path in (out, tmp_path / "again.json"):
            asyncio.run(measured(served.url, questions, path))
    content, again = [json.loads(path.read_text()) for path in (out, tmp_path / "again.json")]
    assert content["fit"] == again["fit"], "the server answers the same, and so is what is made of it"
    after = content["measured"]["after"]
    assert 0 <= after["ece_perfect_interval"][0] < after["ece_perfect_interval"][1] <= 1
    with (
        a_server(tmp_path_factory.mktemp("after"), "--calibration", str(out)) as served,
        httpx.Client(base_url=served.url, timeout=120) as api,
    ):
        told = sure(api)
        assert (told["kind"], told["calibrated"]) == ("calibrated", True), told
        assert told["calibration"]["temperature"] == content["fit"]["temperature"]
        assert told["calibration"]["ece"] == after["ece"]
        assert told["value"] != pytest.approx(plain["value"], abs=1e-6)
        assert api.get("/api/v1/calibration").json()["calibrated"]
        assert sure(api, use_adapter=False)["calibration_mismatch"] == ["adapter_digest"]
        _exchanged(api, served)
        told = sure(api)
        assert (told["calibrated"], told["calibration_mismatch"]) == (False, ["adapter_digest"])
        assert not api.get("/api/v1/calibration").json()["calibrated"]


def _exchanged(api: httpx.Client, served: Served) -> None:
    """Another adapter of the same base model, with a name that the first one did not have."""
    an_adapter(served.runs / "other", adapter_tensors(scale=0.5))
    assert api.post("/api/v1/load-model", json={"model_path": "other"}).status_code == 202
    until(lambda: _answers(api), limit=240, what="the other adapter to answer")


def _answers(api: httpx.Client) -> bool:
    told = api.get("/api/v1/load-model").json()
    assert told["state"] != "failed", told
    return bool(told["state"] in ("finishing", "done"))


@pytest.mark.parametrize(
    ("content", "says"),
    [(b"{}", "broken.json: format: Field required"), (b'{"format": 1', "broken.json: Invalid JSON"), (None, "no file")],
)
async def test_a_profile_that_is_none_ends_the_start_with_file_and_key(
    tmp_path: Path, content: bytes | None, says: str
) -> None:
    path, log = tmp_path / "broken.json", tmp_path / "last-words"
    if content is not None:
        path.write_bytes(content)
    folders = ("--checkpoint", str(tmp_path), "--base-model", str(tmp_path))
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "forge_inference", *folders, "--calibration", str(path)),
        env={"PYTHONPATH": str(ROOT / "inference"), "FORGE_TERMINATION_LOG": str(log)},
        stderr=asyncio.subprocess.PIPE,
    )
    _, errors = await process.communicate()
    assert process.returncode == 2
    assert b"--calibration (FORGE_CALIBRATION): " in errors
    told = json.loads(log.read_text())
    assert told["reason"] == "InvalidSettings"
    assert says in told["message"]
