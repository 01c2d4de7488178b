"""`make bench-gpu`: an 8B-shaped model on a GPU, written to docs/benchmarks.md line by line. Without one it says so."""

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from unittest.mock import patch

import torch

from forge_inference.engine import kernels
from forge_inference.engine.batching import BatchingEngine
from forge_inference.engine.contract import Plan, Quantization, Request, Steps
from forge_inference.engine.loading import Sources
from forge_inference.telemetry.gpu import Gpu, Gpus
from tests.bench.section import write_section
from tests.bench_engine.hollow import a_hollow_pair, filled
from tests.harness.places import ROOT
from tests.harness.steps import step
from tests.support.checkpoints import Shape
from tests.support.waiting import until

BEGIN, END = "<!-- gpu: written by `make bench-gpu` -->", "<!-- gpu: end -->"
NEW = 128  # tokens of each answer
LENGTH = 2048  # tokens of prompt and answer; the resource's default
LLAMA_8B = Shape(hidden=4096, inner=14_336, layers=32, heads=32, key_value_heads=8, vocabulary=128_256, length=8192)
# Bytes a second of the data sheets (HBM): https://www.nvidia.com/en-us/data-center/h100/ and …/h200/.
_BANDWIDTH = {"H200": 4.8e12, "H100": 3.35e12, "A100": 2.0e12}
_WAYS: dict[Steps, str] = {"table": "in place, recorded", "recorded": "gathered, recorded", "packed": "gathered"}


@dataclass(frozen=True)
class Case:
    """An engine, and who asks it: how many at once, and tokens of each prompt."""

    plan: Plan
    steps: Steps
    crowds: tuple[tuple[int, int], ...]


# What matters most comes first: a run may be cut off. The second is a replica with the resource's defaults.
CASES = [
    Case("dequantized", "table", ((1, 32), (8, 32), (32, 1024), (128, 32))),
    Case("nf4", "table", ((32, 1024), (1, 32), (8, 32))),
    Case("dequantized", "recorded", ((1, 32), (8, 32), (32, 1024))),
    Case("dequantized", "packed", ((1, 32), (32, 1024))),
    Case("nf4", "recorded", ((1, 32), (32, 1024))),
    Case("nf4", "table", ((128, 32),)),
]


@dataclass(frozen=True)
class Row:
    """What a crowd was told: new tokens a second, and what NVML told in the middle of it."""

    plan: Plan
    steps: Steps
    crowd: int
    prompt: int
    speed: float
    steady: float  # the same between the last one's first token and the first one's last
    roofline: float | None  # the part of what reading all weights once for each step would allow, of `steady`
    gpu: Gpu | None


async def measured(case: Case, base: Path, adapter: Path, length: int) -> AsyncIterator[Row]:
    """One after another."""
    with _running(case, base, adapter, length) as (engine, weights):
        for crowd, prompt in case.crowds:
            await _crowd(engine, crowd, prompt)
            speed, steady, gpu = await _speed(engine, crowd, prompt)
            bandwidth = next((each for name, each in _BANDWIDTH.items() if gpu and name in gpu.name), None)
            roofline = steady / (bandwidth / weights * crowd) if bandwidth else None
            yield Row(case.plan, case.steps, crowd, prompt, speed, steady, roofline, gpu)


@contextmanager
def _running(case: Case, base: Path, adapter: Path, length: int) -> Iterator[tuple[BatchingEngine, int]]:
    """The engine, and the bytes that its weights take."""
    how = Quantization("nf4", double_quant=True, compute_dtype="bfloat16")
    crowd = max(crowd for crowd, _ in case.crowds)
    engine = BatchingEngine(
        Sources(adapter, base, "", "", how, case.plan),
        max_model_len=length,
        max_queue=4 * crowd,  # prompts of all fit
        max_batch=crowd,
        request_timeout_seconds=600,
    )
    gathered = patch.object(kernels, "load", return_value=None) if case.steps != "table" else nullcontext()
    with step(f"loading, {case.plan}"), gathered:
        engine.start()
        until(lambda: engine.loaded() or engine.failure(), limit=600, what="the engine serves")
    if failure := engine.failure():
        raise failure
    assert engine._serving is not None
    if case.steps == "packed":
        engine._serving.batches._processor.model_runner.graphs = None
    try:
        yield engine, _weights(engine)
    finally:
        engine.stop()


def _weights(engine: BatchingEngine) -> int:
    assert engine._serving is not None
    return sum(part.numel() * part.element_size() for part in engine._serving.weights.model.parameters())


async def _speed(engine: BatchingEngine, crowd: int, prompt: int) -> tuple[float, float, Gpu | None]:
    """New tokens a second, also while all are being answered, and what NVML tells then."""
    start = time.monotonic()
    asking = asyncio.create_task(_crowd(engine, crowd, prompt))
    all_run = lambda: engine.load().running >= crowd or asking.done()  # noqa: E731
    await asyncio.to_thread(until, all_run, limit=60, what="all run", pause=0.01)
    seen = Gpus().read()
    told = await asking
    seconds = time.monotonic() - start
    begin, end = max(times[0] for times in told), min(times[-1] for times in told)
    steady = sum(begin < at <= end for times in told for at in times) / (end - begin)
    return crowd * NEW / seconds, steady, seen[0] if seen else None


async def _crowd(engine: BatchingEngine, crowd: int, prompt: int) -> list[list[float]]:
    """When each was told its tokens."""

    async def one(number: int) -> list[float]:
        tokens = (2 + number % 256, *(2 + place % 256 for place in range(prompt - 1)))
        request = Request(tokens, NEW, ignore_eos=True)
        return [time.monotonic() async for _ in engine.generate(request)]

    return await asyncio.gather(*map(one, range(crowd)))


def section(rows: list[Row]) -> str:
    """Markdown."""
    first = rows[0].gpu
    assert first is not None
    lines = [
        f"{first.name}, {first.memory_total / 2**30:.0f} GiB. An 8B-shaped model with random weights and an adapter of"
        f" rank 16, {NEW} new tokens each, greedy. {datetime.now(UTC):%Y-%m-%d}, torch {torch.__version__}. The first"
        " figure counts from the first request to the last token, so reading the prompts is part of it; the second only"
        " while all are being answered. Each crowd asks twice, and the second time is measured. Memory is what NVML"
        f" tells, with a cache for {LENGTH} tokens of each who may ask at once: with 32 and nf4 that is a replica with"
        " the resource's defaults. Command: `make bench-gpu`.",
        "",
        "| plan | keys and values | at once | prompt | tokens/s | while all answer | of the roofline |"
        " GPU busy | memory | power |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        part = f"{row.roofline:.0%}" if row.roofline else "–"
        gpu = row.gpu or first
        lines.append(
            f"| {row.plan} | {_WAYS[row.steps]} | {row.crowd} | {row.prompt} | {row.speed:.0f} | {row.steady:.0f} |"
            f" {part} | {gpu.utilization} % | {gpu.memory_used / 2**30:.1f} GiB | {gpu.power:.0f} W |"
        )
    return "\n".join(lines)


async def _all(cases: list[Case], base: Path, adapter: Path, page: Path | None) -> None:
    rows: list[Row] = []
    for case in cases:
        async for row in measured(case, base, adapter, LENGTH):
            rows.append(row)
            print(section([row]).splitlines()[-1], flush=True)
            if page:
                write_section(section(rows), page, BEGIN, END)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench_engine.gpu", description=__doc__)
    parser.add_argument("--dry-run", action="store_true", help="do not write docs/benchmarks.md")
    options = parser.parse_args()
    if not torch.cuda.is_available():
        print("There is no GPU that CUDA can use here: nothing was measured.")
        return 0
    page = None if options.dry_run else ROOT / "docs" / "benchmarks.md"
    with tempfile.TemporaryDirectory() as folder, filled("cuda"):
        base, adapter = a_hollow_pair(Path(folder), LLAMA_8B, rank=16)
        asyncio.run(_all(CASES, base, adapter, page))
    return 0


if __name__ == "__main__":
    sys.exit(main())
