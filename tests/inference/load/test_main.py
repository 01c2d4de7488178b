"""The program as a person and as a CI job run it."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.harness.places import ROOT
from tests.inference.load.server import Asked, Script, serving

CALM = ("--max-late", "60s")  # tests run on machines with other work


async def started(url: str, *words: str, files: int | None = None) -> asyncio.subprocess.Process:
    """`files`: how many it may have open, sockets included."""
    command = [sys.executable, "-m", "forge_inference.load", url, *words]
    if files:
        command = ["sh", "-c", f'ulimit -n {files} && exec "$@"', "sh", *command]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "inference"), "LAB_TOKEN": "s3cret"}
    return await asyncio.create_subprocess_exec(
        *command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )


async def run(script: Script, *words: str, files: int | None = None) -> tuple[int | None, str, str]:
    """Exit status, stdout and stderr."""
    async with serving(script) as server:
        process = await started(server.url, *words, files=files)
        out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()


async def two_of_three(asked: Asked) -> None:
    await (asked.refuse(429, "the queue is full") if asked.number % 3 == 2 else asked.answer(4, first=0.02))


async def test_a_load_ends_with_a_table_figures_and_a_plot(tmp_path: Path) -> None:
    figures, plot = tmp_path / "load.json", tmp_path / "load.svg"
    words = ["--rate", "30:1s", "--arrivals", "constant", "--warmup", "0", "--slo", "e2e=60s", "--slo-share", "0.5"]
    files = ["--json", str(figures), "--plot", str(plot), "--header", "Authorization: Bearer ${LAB_TOKEN}"]
    status, out, err = await run(two_of_three, *words, *files, *CALM)
    assert (status, err) == (0, "")
    assert "offered 30 (30.00/s), started 30" in out
    assert "succeeded 20, refused 10 (429) and 0 (503), failed 0, unfinished 0" in out
    assert "429               10 times, first: the queue is full" in out
    assert "goodput       66.7% of offered, 20.00/s: e2e ≤ 60000 ms" in out
    assert "NOT" not in out
    found = json.loads(figures.read_text())
    assert found["requests"]["succeeded"] == 20
    assert found["goodput"]["good"] == 20
    assert 0.02 <= found["ttft"]["p50"] <= found["ttft"]["p99"] <= found["e2e"]["max"]
    assert (found["tokens"], found["prompt_tokens"], found["inter_token"]["count"]) == (80, 140, 60)
    assert sum(second["offered"] for second in found["series"]) == 30
    assert found["load"]["phases"] == [{"begin": 30.0, "end": 30.0, "seconds": 1.0}]
    assert "s3cret" not in figures.read_text() + out
    texts = [element.text for element in ElementTree.parse(plot).iter("{http://www.w3.org/2000/svg}text")]  # noqa: S314 - our own
    assert {"offered", "refused", "first token p95", "requests/s"} <= set(texts)


@pytest.mark.parametrize(
    ("limits", "says"),
    [
        (["--max-error-rate", "0.2"], "NOT KEPT: 33.33% of the requests have no whole answer"),
        (["--slo", "ttft=60s"], "NOT KEPT: 66.67% of the offered requests were answered within ttft ≤ 60000 ms"),
        (["--slo", "ttft=1ms", "--slo-share", "0.1"], "NOT KEPT: 0.00% of the offered requests"),
    ],
)
async def test_a_limit_that_is_not_kept_is_an_exit_status(limits: list[str], says: str) -> None:
    words = ["--rate", "30:500ms", "--arrivals", "constant", "--warmup", "0"]
    status, out, _ = await run(two_of_three, *words, *limits, *CALM)
    assert status == 1
    assert says in out


async def test_a_server_that_answers_nothing_is_an_exit_status_too() -> None:
    status, out, _ = await run(lambda asked: asked.refuse(503, "loading"), "--rate", "10:500ms", "--warmup", "0", *CALM)
    assert status == 1
    assert "NOT KEPT: no request was answered in whole." in out
    assert "first token                      -" in out


async def test_a_server_that_is_not_there_is_said_before_any_load() -> None:
    status, out, err = await run(lambda asked: asked.refuse(401, "Who are you?"), "--rate", "1:60s")
    assert (status, out) == (2, "")
    assert "did not answer a first request, so nothing was measured: HTTP 401: Who are you?" in err


async def test_figures_may_go_to_stdout_and_then_nothing_else_does() -> None:
    status, out, err = await run(two_of_three, "--rate", "30:300ms", "--warmup", "0", "--json", "-", *CALM)
    assert status == 0
    assert json.loads(out)["requests"]["refused_429"] > 0
    assert "first token" in err


async def test_an_interruption_prints_what_was_measured(tmp_path: Path) -> None:
    figures, enough = tmp_path / "load.json", asyncio.Event()

    async def script(asked: Asked) -> None:
        await asked.answer(1)
        if asked.number == 8:
            enough.set()

    async with serving(script) as server:
        process = await started(server.url, "--rate", "20:1h", "--json", str(figures), *CALM)
        async with asyncio.timeout(60):
            await enough.wait()
        process.send_signal(signal.SIGINT)
        out, _ = await process.communicate()
    assert process.returncode == 130
    assert "INTERRUPTED" in out.decode()
    found = json.loads(figures.read_text())
    assert found["interrupted"] is True
    assert found["requests"]["succeeded"] >= 7
    assert found["requests"]["offered"] < 72_000


async def test_an_interruption_before_the_load_ends_the_program_at_once() -> None:
    asked_once = asyncio.Event()

    async def script(asked: Asked) -> None:
        asked_once.set()
        await asyncio.sleep(60)

    async with serving(script) as server:
        process = await started(server.url, "--rate", "1:60s")
        async with asyncio.timeout(60):
            await asked_once.wait()
        process.send_signal(signal.SIGINT)
        async with asyncio.timeout(30):
            out, err = await process.communicate()
    assert (process.returncode, out, err) == (130, b"", b"interrupted; nothing was measured\n")


async def test_figures_of_a_generator_without_sockets_are_disowned() -> None:
    status, out, _ = await run(
        lambda asked: asked.answer(1, first=3.0), "--rate", "100:500ms", "--arrivals", "constant", *CALM, files=30
    )
    assert status == 3
    assert "DO NOT TRUST THESE FIGURES" in out
    assert "requests were never sent: this machine had no sockets left" in out


async def test_figures_of_a_generator_that_is_late_are_disowned() -> None:
    status, out, _ = await run(lambda asked: asked.answer(1), "--rate", "20:1s", "--max-late", "0.001ms")
    assert status == 3
    assert "DO NOT TRUST THESE FIGURES. The generator could not keep its schedule" in out


async def test_nothing_heavy_is_loaded() -> None:
    program = (
        "import sys, forge_inference.load.__main__\n"
        "print([name for name in ('torch', 'transformers', 'fastapi', 'forge_inference.engine', 'forge_inference.web')"
        " if name in sys.modules])"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "inference")}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, env=environment, stdout=subprocess.PIPE
    )
    out, _ = await process.communicate()
    assert out.decode().strip() == "[]"
