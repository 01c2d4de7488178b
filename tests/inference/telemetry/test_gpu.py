"""GPU figures, read by the real pynvml from a library that stands where NVIDIA's would."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.harness import nvml
from tests.harness.places import ROOT

# A process of its own: the loader reads its path once, and pynvml keeps the library that it found.
_READ = """
import json
from forge_inference.telemetry.gpu import Gpus
gpus = Gpus()
print(json.dumps([gpu.as_json() for gpu in gpus.read()]))
"""
_TORCH = "import torch; print(torch.cuda.is_available(), torch.cuda.device_count())"


def _told(program: str, folder: Path | str, figures: Path) -> str:
    environment = {**os.environ, "LD_LIBRARY_PATH": str(folder), nvml.VARIABLE: str(figures)}
    command = [sys.executable, "-c", program]
    paths = {"PYTHONPATH": str(ROOT / "inference")}
    return subprocess.run(command, env={**environment, **paths}, capture_output=True, text=True, check=True).stdout


def _gpus(figures: Path) -> list[dict[str, Any]]:
    return list(json.loads(_told(_READ, nvml.library().parent, figures)))


def test_what_nvml_says_is_what_is_read(tmp_path: Path) -> None:
    figures = tmp_path / "nvml"
    figures.write_text("87 20480\n")
    [gpu] = _gpus(figures)
    assert gpu == {
        "index": 0,
        "name": "A GPU in a file",
        "memory_used": 20480 * 2**20,
        "memory_total": 80 * 2**30,
        "utilization": 87,
        "temperature": 40,
        "power": 70.0,
    }


def test_a_gpu_of_which_nothing_was_written_is_idle(tmp_path: Path) -> None:
    [gpu] = _gpus(tmp_path / "absent")
    assert (gpu["utilization"], gpu["memory_used"]) == (0, 0)


@pytest.mark.model
def test_the_library_makes_torch_believe_in_no_gpu(tmp_path: Path) -> None:
    with_it = _told(_TORCH, nvml.library().parent, tmp_path / "absent")
    assert with_it == _told(_TORCH, tmp_path, tmp_path / "absent")
