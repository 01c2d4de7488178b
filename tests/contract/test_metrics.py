"""What a model server exports is what the metrics server reads: every metric of the table, from the real exporter."""

import time
from collections.abc import AsyncGenerator

from forge_inference.engine.contract import Chunk, Load
from forge_inference.telemetry.gpu import Gpu, Gpus
from forge_inference.telemetry.metrics import Metrics
from forge_operator.api.scaling import METRICS
from forge_operator.metrics_api.exposition import read
from forge_operator.metrics_api.samples import Pod, Samples
from tests.support.engines import ScriptedEngine

POD = Pod("lab", "hbb-1", "uid", "10.0.0.7", "hbb", {})


class _Busy(ScriptedEngine):
    name = "hbb"

    def load(self) -> Load:
        return Load(3, 2, 64)


class _TwoGpus(Gpus):
    def __init__(self) -> None: ...

    def read(self) -> list[Gpu]:
        each = {"name": "H200", "memory_total": 8, "temperature": 4, "power": 5.0}
        return [
            Gpu(index=0, memory_used=6, utilization=40, **each),
            Gpu(index=1, memory_used=2, utilization=60, **each),
        ]


async def _answer() -> AsyncGenerator[Chunk, None]:
    yield Chunk("HBB", 5, -0.25, 3)


def _told(samples: Samples) -> dict[str, float]:
    now = time.monotonic()
    found = {kind: samples.of_pod("lab", "hbb-1", metric.name, now) for kind, metric in METRICS.items()}
    return {kind: one[1].value for kind, one in found.items() if one}


async def test_every_metric_that_a_model_can_be_scaled_by_is_exported() -> None:
    server, samples = Metrics(_Busy(), _TwoGpus()), Samples()  # type: ignore[arg-type]  # what is not asked is not there
    samples.put(POD)
    samples.add(POD, read(server.text().decode()), time.monotonic())
    assert _told(samples) == {
        "QueueDepth": 3,
        "InFlight": 5,
        "LatencyP95": 0,
        "TimeToFirstTokenP95": 0,
        "GPUUtilization": 50,
        "GPUMemory": 50,
    }
    async for _ in server.timed(_answer()):
        pass
    samples.add(POD, read(server.text().decode()), time.monotonic())
    told = _told(samples)
    assert 0 < told["LatencyP95"] <= 0.005, "within the first bucket, since nothing was computed"
    assert 0 < told["TimeToFirstTokenP95"] <= 0.005
