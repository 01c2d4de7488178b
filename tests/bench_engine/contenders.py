"""Those who are compared: each answers prompts of text with so many new tokens, and tells how many it made."""

import asyncio
import itertools
import os
import sys
import tempfile
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx

from tests.bench_engine import machine
from tests.harness.places import ROOT
from tests.support.ports import free_port

Ask = Callable[[str, int], Awaitable[int]]  # prompt and new tokens wanted -> new tokens made
_START = 180.0  # seconds for a server to load its model


@asynccontextmanager
async def locked(base: Path) -> AsyncIterator[Ask]:
    """`generate` of transformers behind a lock: what many a lab runs."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(base)
    model: Any = AutoModelForCausalLM.from_pretrained(base, dtype=getattr(torch, machine.DTYPE)).eval()
    one_at_a_time = threading.Lock()

    def answer(text: str, new: int) -> int:
        with one_at_a_time:
            inputs = tokenizer(text, return_tensors="pt")
            whole = model.generate(**inputs, max_new_tokens=new, min_new_tokens=new, do_sample=False, pad_token_id=0)
            return int(whole.shape[1] - inputs.input_ids.shape[1])

    yield lambda text, new: asyncio.to_thread(answer, text, new)


@asynccontextmanager
async def without_http(base: Path, adapter: Path, *, quantization: str) -> AsyncIterator[Ask]:
    """Our engine's loop alone, in this process."""
    from forge_inference.engine.batching import BatchingEngine
    from forge_inference.engine.contract import Quantization, Request
    from forge_inference.engine.loading import Sources

    how = Quantization("nf4" if quantization == "nf4" else "none", quantization == "nf4", "bfloat16")
    engine = BatchingEngine(
        Sources(adapter, base, "", "", how), max_model_len=2048, max_queue=64, max_batch=32, request_timeout_seconds=600
    )
    engine.start()
    async with asyncio.timeout(_START):
        while not engine.loaded():
            if failure := engine.failure():
                raise failure
            await asyncio.sleep(0.1)

    async def ask(text: str, new: int) -> int:
        request = Request(text, new, chat=False, adapter=None, ignore_eos=True)
        return len([chunk async for chunk in engine.generate(request)])

    try:
        yield ask
    finally:
        await asyncio.to_thread(engine.stop)


@dataclass(frozen=True)
class Server:
    """A process that serves: a client of its API, and the address of its admin port, if it has one."""

    client: httpx.AsyncClient
    pid: int
    admin: str = ""


@asynccontextmanager
async def ours_server(base: Path, adapter: Path, *, quantization: str) -> AsyncIterator[Server]:
    """Our server with its defaults; it serves `base` and `adapter` under these names."""
    port, admin = free_port(), free_port()
    command: list[str | Path] = [sys.executable, "-m", "forge_inference", "--checkpoint", adapter, "--base-model", base]
    command += ["--model-name", "adapter", "--quantization", quantization, "--log-level", "warning"]
    command += ["--port", str(port), "--admin-port", str(admin), "--request-timeout-seconds", "600"]
    url = f"http://127.0.0.1:{admin}"
    async with _server(command, f"http://127.0.0.1:{port}", f"{url}/readyz") as server:
        yield replace(server, admin=url)


@asynccontextmanager
async def ours(
    base: Path, adapter: Path, *, quantization: str, models: Sequence[str] = ("base",)
) -> AsyncIterator[Ask]:
    """Our server; requests go round the `models`."""
    async with ours_server(base, adapter, quantization=quantization) as server:
        for name in models:
            if name not in ("base", "adapter"):
                load = {"lora_name": name, "lora_path": str(adapter)}
                (await server.client.post(f"{server.admin}/v1/load_lora_adapter", json=load)).raise_for_status()
        numbers = itertools.count()

        async def ask(text: str, new: int) -> int:
            model = models[next(numbers) % len(models)]
            return await _completed(server.client, {"model": model, "ignore_eos": True}, text, new)

        yield ask


@asynccontextmanager
async def transformers_serve(base: Path) -> AsyncIterator[Ask]:
    """`transformers serve --continuous-batching`."""
    port = free_port()
    command = [sys.executable, "-m", "transformers.cli.transformers", "serve", str(base), "--continuous-batching"]
    command += ["--dtype", machine.DTYPE, "--port", str(port), "--cb-num-blocks", "512", "--cb-block-size", "128"]
    async with _server(command, f"http://127.0.0.1:{port}", f"http://127.0.0.1:{port}/health") as server:
        yield lambda text, new: _completed(server.client, {"model": str(base)}, text, new)


@asynccontextmanager
async def llama_cpp(gguf: Path) -> AsyncIterator[Ask]:
    """llama.cpp's server, with room for as many at once."""
    port = free_port()
    command = [sys.executable, "-m", "tests.bench_engine.llama_cpp", str(gguf), str(port)]
    async with _server(command, f"http://127.0.0.1:{port}", f"http://127.0.0.1:{port}/health") as server:
        more = {"ignore_eos": True, "cache_prompt": False}
        yield lambda text, new: _completed(server.client, more, text, new)


async def _completed(client: httpx.AsyncClient, more: dict[str, Any], text: str, new: int) -> int:
    body = {"prompt": text, "max_tokens": new, "temperature": 0, **more}
    answer = await client.post("/v1/completions", json=body)
    if answer.is_error:
        raise RuntimeError(f"{answer.status_code}: {answer.text[:500]}")
    return int(answer.json()["usage"]["completion_tokens"])


@asynccontextmanager
async def _server(command: Sequence[str | Path], url: str, ready: str) -> AsyncIterator[Server]:
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'inference'}{os.pathsep}{ROOT}", "HF_HUB_OFFLINE": "1"}
    said = tempfile.TemporaryFile()  # noqa: SIM115 - a pipe that nobody reads would stop the server when it is full
    process = await asyncio.create_subprocess_exec(*command, env=environment, stdout=said, stderr=said)
    try:
        async with httpx.AsyncClient(base_url=url, timeout=900, limits=httpx.Limits(max_connections=None)) as client:
            async with asyncio.timeout(_START):
                while not await _is_up(client, ready):
                    if process.returncode is not None:
                        said.seek(0)
                        raise RuntimeError(f"{command[2]} ended before it served: {said.read().decode()[-2000:]}")
                    await asyncio.sleep(0.2)
            yield Server(client, process.pid)
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()
        said.close()


async def _is_up(client: httpx.AsyncClient, ready: str) -> bool:
    try:
        return (await client.get(ready)).is_success
    except httpx.TransportError:
        return False
