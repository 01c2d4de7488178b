"""The benchmark for GPUs, as far as it goes without one."""

from pathlib import Path

import pytest

from forge_inference.telemetry.gpu import Gpu
from tests.bench_engine import gpu
from tests.bench_engine.hollow import a_hollow_pair, filled
from tests.inference.engine.conftest import QUIET
from tests.support.checkpoints import Shape

pytestmark = [pytest.mark.model, QUIET]


async def test_it_measures_what_a_crowd_is_told_and_writes_a_table(tmp_path: Path) -> None:
    base, adapter = a_hollow_pair(tmp_path, Shape(hidden=128, heads=2, vocabulary=400), rank=4)
    with filled("cpu"):
        case = gpu.Case("dequantized", "packed", ((2, 8),))
        rows = [row async for row in gpu.measured(case, base, adapter, 256)]
    assert [(row.plan, row.crowd, row.prompt) for row in rows] == [("dequantized", 2, 8)]
    assert rows[0].speed > 0 < rows[0].steady
    card = Gpu(0, "NVIDIA H100", 20 * 2**30, 80 * 2**30, 97, 55, 640.0)
    text = gpu.section([gpu.Row("nf4", "table", 8, 32, 1500.0, 1600.0, 0.75, card)])
    assert "| nf4 | in place, recorded | 8 | 32 | 1500 | 1600 | 75% | 97 % | 20.0 GiB | 640 W |" in text
