"""`python -m forge_inference.checkpoint inspect`, as a person and as a script run it."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from forge_inference.checkpoint.__main__ import main
from forge_inference.checkpoint.inspection import inspect
from tests.harness.places import ROOT
from tests.inference.engine.tiny import a_base, adapter_tensors, an_adapter
from tests.support.trainers import LAYOUTS

SECONDS, MOST = 2.0, 2**30  # for an adapter of an 8B model: the command's own time, whoever else computes, and bytes
LAYERS = 32
# Of Llama 3.1 8B: module to (out, in).
SHAPES = {
    "self_attn.q_proj": (4096, 4096),
    "self_attn.k_proj": (1024, 4096),
    "self_attn.v_proj": (1024, 4096),
    "self_attn.o_proj": (4096, 4096),
    "mlp.gate_proj": (14336, 4096),
    "mlp.up_proj": (14336, 4096),
    "mlp.down_proj": (4096, 14336),
}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return a_base(tmp_path_factory.mktemp("base") / "model")


def _said(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    status = main(["inspect", *words])
    return status, capsys.readouterr().out


def _as_json(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, dict[str, Any]]:
    status, text = _said(capsys, *words, "--json")
    found: dict[str, Any] = json.loads(text)
    return status, found


def test_a_good_run_is_told_with_folder_reason_and_facts(
    tmp_path: Path, base: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = LAYOUTS["Transformers"](tmp_path / "run", base, an_adapter(tmp_path / "adapter"))
    status, page = _said(capsys, str(run), "--base", str(base))
    assert status == 0
    for words in ("checkpoint-8", "calls it the best", "checkpoint-4, checkpoint-12", "0.5", "This would be served."):
        assert words in page
    status, found = _as_json(capsys, str(run), "--base", str(base))
    assert (status, found["served"], found["trainingStep"], found["evaluationLoss"]) == (0, True, 8, 0.5)
    assert (found["rank"], found["targetModules"], found["layers"]) == (4, ["down_proj", "q_proj"], 4)
    assert found["versions"] == {}


def test_every_problem_is_told_and_not_the_first_alone(
    tmp_path: Path, base: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tensors = adapter_tensors()
    del tensors["base_model.model.model.layers.1.mlp.down_proj.lora_B.weight"]
    tensors["base_model.model.model.layers.9.mlp.down_proj.lora_magnitude_vector"] = np.ones(3, np.float32)
    run = an_adapter(tmp_path / "run", tensors, use_dora=True, bias="all", r=8)
    status, found = _as_json(capsys, str(run), "--base", str(base))
    assert (status, found["served"], found["digest"]) == (1, False, None)
    messages = [problem["message"] for problem in found["problems"]]
    for word in ("use_dora", "bias", "lora_magnitude_vector", "down_proj has no lora_B"):
        assert any(word in message for message in messages), messages
    assert "This would not be served." in _said(capsys, str(run), "--base", str(base))[1]


def test_without_a_base_model_less_is_checked_and_that_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, found = _as_json(capsys, str(an_adapter(tmp_path / "run")))
    assert (status, found["served"]) == (0, True)
    assert found["notes"] == ["not compared with a base model: name its folder with --base."]


def test_a_base_model_that_is_not_there_is_a_problem(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, found = _as_json(capsys, str(an_adapter(tmp_path / "run")), "--base", str(tmp_path / "no"))
    assert status == 1
    assert [problem["reason"] for problem in found["problems"]] == ["BaseModelNotFound"]


def test_a_whole_model_is_served_unless_it_is_the_base_model(
    tmp_path: Path, base: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    same = shutil.copytree(base, tmp_path / "same")
    status, found = _as_json(capsys, str(same), "--base", str(base))
    assert (status, [problem["reason"] for problem in found["problems"]]) == (1, ["AdapterIneffective"])
    raw = (same / "model.safetensors").read_bytes()
    (same / "model.safetensors").write_bytes(raw[:-4] + b"\0\0\0\0")
    status, found = _as_json(capsys, str(same), "--base", str(base))
    assert (status, found["kind"], found["rank"], found["digest"] is None) == (0, "model", None, False)


def test_help_says_what_it_does(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["--help"], ["inspect", "--help"]):
        with pytest.raises(SystemExit, match="0"):
            main(words)
    said = capsys.readouterr().out
    assert "would this be served" in said
    assert "--base" in said
    assert "--json" in said


def an_8b_adapter(folder: Path) -> Path:
    """Rank 16 on every linear layer: 84 MB of bfloat16."""
    folder.mkdir()
    header: dict[str, Any] = {}
    parts, end = [], 0
    random = np.random.default_rng(0)
    block = (random.standard_normal(16 * 14336).astype("<f4").view("<u4") >> 16).astype("<u2").tobytes()
    for layer in range(LAYERS):
        for module, (out, into) in SHAPES.items():
            for side, shape in (("A", [16, into]), ("B", [out, 16])):
                size = 2 * shape[0] * shape[1]
                name = f"base_model.model.model.layers.{layer}.{module}.lora_{side}.weight"
                header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [end, end + size]}
                parts.append(block[:size])
                end += size
    text = json.dumps(header).encode()
    (folder / "adapter_model.safetensors").write_bytes(len(text).to_bytes(8, "little") + text + b"".join(parts))
    config = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "r": 16,
        "lora_alpha": 32,
        "target_modules": [module.rpartition(".")[2] for module in SHAPES],
        "base_model_name_or_path": "meta-llama/Llama-3.1-8B",
    }
    (folder / "adapter_config.json").write_text(json.dumps(config))
    return folder


_MEASURED = """
import sys, time
from forge_inference.checkpoint.__main__ import main
status = main(sys.argv[1:])
# Not what `resource` tells, which begins with the memory of the parent.
memory = 1024 * int(open("/proc/self/status").read().split("VmHWM:")[1].split()[0])
print("#", time.process_time(), memory, "torch" in sys.modules)
sys.exit(status)
"""


def test_an_adapter_of_an_8b_model_takes_two_seconds_and_no_torch(tmp_path: Path) -> None:
    run = an_8b_adapter(tmp_path / "run")
    done = subprocess.run(
        [sys.executable, "-c", _MEASURED, "inspect", str(run)],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "PYTHONPATH": str(ROOT / "inference")},
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    seconds, memory, torch = done.stdout.rpartition("# ")[2].split()
    assert (float(seconds) < SECONDS, int(memory) < MOST, torch) == (True, True, "False"), done.stdout
    shutil.rmtree(run)  # pytest would keep it


def test_a_value_that_is_not_a_number_is_found_in_the_last_tensor_of_a_large_file(tmp_path: Path) -> None:
    run = an_8b_adapter(tmp_path / "run")
    with (run / "adapter_model.safetensors").open("r+b") as file:
        file.seek(-2, os.SEEK_END)
        file.write(b"\xc0\x7f")
    [problem] = inspect(run).findings.problems
    assert problem.reason == "CheckpointInvalid"
    assert "layers.31.mlp.down_proj.lora_B.weight has numbers that are not finite" in str(problem)
    shutil.rmtree(run)
