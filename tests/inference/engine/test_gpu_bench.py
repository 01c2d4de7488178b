"""The benchmark for GPUs, as far as it goes without one."""

from pathlib import Path

import pytest

from forge_inference.telemetry.gpu import Gpu
from tests.bench_engine import gpu
from tests.inference.engine.conftest import QUIET
from tests.support.checkpoints import a_real_pair

pytestmark = [pytest.mark.model, QUIET]


async def test_it_measures_what_a_crowd_is_told_and_writes_a_table(tmp_path: Path) -> None:
    base, adapter = a_real_pair(tmp_path)
    rows = await gpu.measured("dequantized", base, adapter, [(2, 8)], 256)
    assert [(row.plan, row.crowd, row.prompt) for row in rows] == [("dequantized", 2, 8)]
    assert rows[0].speed > 0
    card = Gpu(0, "NVIDIA H100", 20 * 2**30, 80 * 2**30, 97, 55, 640.0)
    text = gpu.section([gpu.Row("nf4", 8, 32, 1600.0, 0.75, card)])
    assert "| nf4 | 8 | 32 | 1600 | 75% | 97 % | 20.0 GiB | 640 W |" in text
