"""How long short questions take alone, and while a long paper is read; `python -m tests.bench_science.crowding`."""

import asyncio
import math
import time
import warnings
from dataclasses import dataclass
from datetime import UTC, datetime
from os import cpu_count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx

from tests.bench.section import write_section
from tests.harness.places import ROOT
from tests.science.papers.forms import forty_pages, sent_as

BEGIN, END = "<!-- crowding: written by `python -m tests.bench_science.crowding` -->", "<!-- crowding: end -->"
PAGE = ROOT / "docs" / "benchmarks.md"
FORMS = ("text", "jats_xml", "latex", "pdf_base64")
PROMISED = 2.0
LONGEST, NEW = 4096, 64
_SHORT = {"text": "What is HBB?", "max_new_tokens": 32}
_ALONE = 40  # questions before the paper, and as many behind it


@dataclass(frozen=True)
class Crowded:
    """95th percentiles in seconds, and of how many questions."""

    alone: float
    beside: float
    questions: int
    parts: int
    seconds: float

    @property
    def ratio(self) -> float:
        return self.beside / self.alone


async def crowded(url: str, paper: dict[str, str], *, new: int = NEW) -> Crowded:
    """Ask one short question after the other: alone, while the server reads the paper, and alone again."""
    body = {**paper, "max_new_tokens": new, "max_model_calls": 128}
    async with httpx.AsyncClient(base_url=url, timeout=600) as client:
        alone = [await _asked(client) for _ in range(_ALONE)]
        start = time.monotonic()
        reading = asyncio.create_task(client.post("/api/v1/papers/analyze", json=body))
        beside = list[float]()
        while not reading.done():
            beside.append(await _asked(client))
        answer = await reading
        seconds = time.monotonic() - start
        assert answer.status_code == 200, answer.text
        alone += [await _asked(client) for _ in range(_ALONE)]
    found: dict[str, Any] = answer.json()
    return Crowded(_p95(alone), _p95(beside), len(beside), found["coverage"]["parts"], seconds)


async def _asked(client: httpx.AsyncClient) -> float:
    start = time.monotonic()
    answer = await client.post("/api/v1/generate", json=_SHORT)
    assert answer.status_code == 200, answer.text
    return time.monotonic() - start


def _p95(seconds: list[float]) -> float:
    return sorted(seconds)[math.ceil(0.95 * len(seconds)) - 1]


def section(found: dict[str, Crowded]) -> str:
    lines = [
        f"{datetime.now(UTC).date()}, {cpu_count()} cores. One short question ({_SHORT['max_new_tokens']} new tokens)",
        f"after the other, while one paper of 40 pages is read in parts of {LONGEST} tokens; the tests' tiny model in",
        "float32, which shows what the server adds and how it shares, not what a GPU does.",
        "Command: `python -m tests.bench_science.crowding`.",
        "",
        "| paper | parts | read in | questions | p95 alone | p95 beside it | grows by | promised | kept |",
        "|---" * 9 + "|",
    ]
    for form, one in found.items():
        lines.append(
            f"| {form} | {one.parts} | {one.seconds:.1f} s | {one.questions} | {one.alone * 1000:.0f} ms"
            f" | {one.beside * 1000:.0f} ms | {one.ratio:.2f} × | ≤ {PROMISED:.0f} × |"
            f" {'yes' if one.ratio <= PROMISED else '**no**'} |"
        )
    return "\n".join(lines)


def main() -> None:
    from tests.inference.clients.conftest import a_server  # here: it needs torch

    paper = forty_pages()
    with TemporaryDirectory() as folder, a_server(Path(folder), length=LONGEST) as served:
        found = {form: asyncio.run(crowded(served.url, sent_as(form, paper))) for form in FORMS}
    text = section(found)
    print(text)
    write_section(text, PAGE, BEGIN, END)


if __name__ == "__main__":
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        main()
