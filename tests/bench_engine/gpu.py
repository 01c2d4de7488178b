"""`make bench-gpu`: an 8B-shaped model on a GPU, written to docs/benchmarks.md. Without one it says so and ends."""

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import torch

from forge_inference.engine.batching import BatchingEngine
from forge_inference.engine.contract import Plan, Quantization, Request
from forge_inference.engine.loading import Sources
from forge_inference.telemetry.gpu import Gpu, Gpus
from tests.bench.section import write_section
from tests.harness.places import ROOT
from tests.harness.steps import say, step
from tests.support.checkpoints import Shape, a_real_pair
from tests.support.waiting import until

BEGIN, END = "<!-- gpu: written by `make bench-gpu` -->", "<!-- gpu: end -->"
NEW = 128  # tokens of each answer
POINTS = [(1, 32), (8, 32), (32, 1024), (128, 32)]  # how many ask at once, and tokens of each prompt
DEFAULTS = [(32, 1024)]  # as many as a replica answers at once when the resource says nothing, so its memory as well
LENGTH = 2048  # tokens of prompt and answer; the resource's default
LLAMA_8B = Shape(hidden=4096, inner=14_336, layers=32, heads=32, key_value_heads=8, vocabulary=128_256, length=8192)
# Bytes a second of the data sheets (HBM): https://www.nvidia.com/en-us/data-center/h100/ and …/h200/.
_BANDWIDTH = {"H200": 4.8e12, "H100": 3.35e12, "A100": 2.0e12}


@dataclass(frozen=True)
class Row:
    """One plan with one crowd: new tokens a second, and what NVML told in the middle of it."""

    plan: Plan
    crowd: int
    prompt: int
    speed: float
    roofline: float | None  # the part of what reading all weights once for each step would allow
    gpu: Gpu | None


async def measured(plan: Plan, base: Path, adapter: Path, points: list[tuple[int, int]], length: int) -> list[Row]:
    """All points with the weights computed as `plan` says."""
    rows = []
    with _running(plan, base, adapter, length, max(crowd for crowd, _ in points)) as (engine, weights):
        for crowd, prompt in points:
            await _crowd(engine, crowd, prompt)
            speed, gpu = await _speed(engine, crowd, prompt)
            bandwidth = next((each for name, each in _BANDWIDTH.items() if gpu and name in gpu.name), None)
            roofline = speed / (bandwidth / weights * crowd) if bandwidth else None
            rows.append(Row(plan, crowd, prompt, speed, roofline, gpu))
            say(f"{plan}, {crowd} at once, prompts of {prompt}: {speed:.0f} tokens/s")
    return rows


@contextmanager
def _running(plan: Plan, base: Path, adapter: Path, length: int, crowd: int) -> Iterator[tuple[BatchingEngine, int]]:
    """The engine, and the bytes that its weights take."""
    how = Quantization("nf4", double_quant=True, compute_dtype="bfloat16")
    engine = BatchingEngine(
        Sources(adapter, base, "", "", how, plan),
        max_model_len=length,
        max_queue=4 * crowd,  # prompts of all fit
        max_batch=crowd,
        request_timeout_seconds=600,
    )
    with step(f"loading, {plan}"):
        engine.start()
        until(lambda: engine.loaded() or engine.failure(), limit=600, what="the engine serves")
    if failure := engine.failure():
        raise failure
    try:
        yield engine, _weights(engine)
    finally:
        engine.stop()


def _weights(engine: BatchingEngine) -> int:
    assert engine._serving is not None
    return sum(part.numel() * part.element_size() for part in engine._serving.weights.model.parameters())


async def _speed(engine: BatchingEngine, crowd: int, prompt: int) -> tuple[float, Gpu | None]:
    """New tokens a second, and what NVML tells once all are being answered."""
    start = time.monotonic()
    asking = asyncio.create_task(_crowd(engine, crowd, prompt))
    all_run = lambda: engine.load().running >= crowd or asking.done()  # noqa: E731
    await asyncio.to_thread(until, all_run, limit=60, what="all run", pause=0.01)
    seen = Gpus().read()
    await asking
    return crowd * NEW / (time.monotonic() - start), seen[0] if seen else None


async def _crowd(engine: BatchingEngine, crowd: int, prompt: int) -> None:
    async def one(number: int) -> None:
        tokens = (2 + number % 256, *(2 + place % 256 for place in range(prompt - 1)))
        request = Request(tokens, NEW, ignore_eos=True)
        async for _ in engine.generate(request):
            pass

    await asyncio.gather(*map(one, range(crowd)))


def section(rows: list[Row]) -> str:
    """Markdown."""
    first = rows[0].gpu
    assert first is not None
    lines = [
        f"{first.name}, {first.memory_total / 2**30:.0f} GiB. An 8B-shaped model with random weights and an adapter of"
        f" rank 16, {NEW} new tokens each, greedy; prefill is part of the time. {datetime.now(UTC):%Y-%m-%d}, torch"
        f" {torch.__version__}. Attention: torch's varlen; steps of few tokens are CUDA graphs, recorded by a crowd"
        f" before the one that is measured. Memory is what NVML tells, with a cache for {LENGTH} tokens of each who may"
        " ask at once; the last line is a replica with the resource's defaults. Command: `make bench-gpu`.",
        "",
        "| plan | at once | prompt | tokens/s | of the roofline | GPU busy | memory | power |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        part = f"{row.roofline:.0%}" if row.roofline else "–"
        gpu = row.gpu or first
        lines.append(
            f"| {row.plan} | {row.crowd} | {row.prompt} | {row.speed:.0f} | {part} | {gpu.utilization} % |"
            f" {gpu.memory_used / 2**30:.1f} GiB | {gpu.power:.0f} W |"
        )
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench_engine.gpu", description=__doc__)
    parser.add_argument("--dry-run", action="store_true", help="do not write docs/benchmarks.md")
    options = parser.parse_args()
    if not torch.cuda.is_available():
        print("There is no GPU that CUDA can use here: nothing was measured.")
        return 0
    plans: list[Plan] = ["dequantized", "nf4"]
    with tempfile.TemporaryDirectory() as folder:
        with step("making an 8B-shaped model with random weights"):
            base, adapter = a_real_pair(Path(folder), shape=LLAMA_8B, rank=16, dtype="bfloat16", device="cuda")
        rows = [row for plan in plans for row in asyncio.run(measured(plan, base, adapter, POINTS, LENGTH))]
        rows += asyncio.run(measured("nf4", base, adapter, DEFAULTS, LENGTH))
    text = section(rows)
    print(text)
    if not options.dry_run:
        write_section(text, ROOT / "docs" / "benchmarks.md", BEGIN, END)
    return 0


if __name__ == "__main__":
    sys.exit(main())
