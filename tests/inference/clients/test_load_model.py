"""Another checkpoint for a server that is busy: one that is good, and many that are not."""

import asyncio
import json
import os
import pickle
import shutil
import struct
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from safetensors.numpy import save_file

from tests.inference.clients.conftest import Served, a_server
from tests.inference.engine.tiny import RANK, Tensors, adapter_tensors, an_adapter
from tests.support.waiting import until

pytestmark = pytest.mark.model
LOAD, GENERATE = "/api/v1/load-model", "/api/v1/generate"
LIMIT = 480  # seconds for a second engine to start on a busy machine


def loaded(url: str, path: Path, **more: object) -> dict[str, Any]:
    """What became of an offer."""
    with httpx.Client(base_url=url) as client:
        offered = client.post(LOAD, json={"model_path": str(path), **more})
        assert offered.status_code == 202, offered.text

        def ended() -> bool:
            return client.get(LOAD).json()["state"] in ("done", "failed")

        until(ended, limit=LIMIT, what="the offer's end")
        return dict(client.get(LOAD).json())


@dataclass(frozen=True)
class Told:
    """An answer: the bytes of its tokens' events, where it came from, and when it was asked and ended."""

    tokens: tuple[str, ...]
    model: str
    checkpoint: str
    asked: float
    ended: float


async def told(client: httpx.AsyncClient, tokens: int) -> Told:
    asked = time.monotonic()
    answer = await client.post(GENERATE, json={"text": "the gene", "max_new_tokens": tokens, "stream": True})
    assert answer.status_code == 200, answer.text
    *events, whole, end, _ = answer.text.split("\n\n")
    assert end == "data: [DONE]"
    last = json.loads(whole.removeprefix("data: "))
    return Told(tuple(events), last["model"], last["provenance"]["checkpoint"], asked, time.monotonic())


@pytest.mark.parametrize("workers", [1, 2])
async def test_a_busy_server_changes_its_model_and_loses_no_request(tmp_path: Path, workers: int) -> None:
    answers: list[Told] = []
    enough = asyncio.Event()

    async def insist(client: httpx.AsyncClient) -> None:
        while not enough.is_set():
            answers.append(await told(client, 100))

    with a_server(tmp_path, "--workers", str(workers)) as served:
        second = an_adapter(served.runs / "second", adapter_tensors(scale=0.1))
        async with httpx.AsyncClient(base_url=served.url, timeout=60) as client:
            before = await told(client, 100)
            clients = [asyncio.create_task(insist(client)) for _ in range(4)]
            found = await asyncio.to_thread(loaded, served.url, second)
            enough.set()
            await asyncio.gather(*clients)
            after = await told(client, 100)
            assert found["state"] == "done", found["error"]
            assert (found["before"]["model"], found["after"]["model"]) == ("genes", "second")
            assert found["report"]["adapterEffect"]["effective"]
            assert (before.model, after.model) == ("genes", "second")
            assert after.checkpoint == found["after"]["checkpoint"] != before.checkpoint
            assert after.tokens != before.tokens
            # Each answer is that of one model, and says so; the two did answer side by side.
            expected = {each.model: (each.checkpoint, _ids(each)) for each in (before, after)}
            assert all((each.checkpoint, _ids(each)) == expected[each.model] for each in answers)
            old, new = ([each for each in answers if each.model == name] for name in ("genes", "second"))
            assert min(each.asked for each in new) < max(each.ended for each in old)
            # And back, with the base model quantised.
            first = shutil.copytree(served.adapter, served.runs / "genes")
            found = await asyncio.to_thread(loaded, served.url, first, use_quantization=True)
            assert found["state"] == "done", found["error"]
            assert found["report"]["quantization"]["method"] == "nf4"
            again = await told(client, 100)
            assert (again.model, again.checkpoint) == (before.model, before.checkpoint)


def _ids(answer: Told) -> list[int]:
    """In a fuller batch log-probabilities may differ in their last digits; tokens do not."""
    return [json.loads(event.removeprefix("data: "))["token"] for event in answer.tokens]


# What somebody may leave in a folder that is offered: each makes it out of a good adapter in the folder.
Spoil = Callable[[Path], None]
CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"


class Canary:
    """Whoever unpickles it makes a file."""

    def __init__(self, place: Path) -> None:
        self._place = place

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str, int]]:
        return os.mkdir, (str(self._place), 0o700)


def config(**changes: object) -> Spoil:
    def spoil(folder: Path) -> None:
        found = json.loads((folder / CONFIG).read_text())
        (folder / CONFIG).write_text(json.dumps({**found, **changes}))

    return spoil


def config_text(text: str) -> Spoil:
    return lambda folder: (folder / CONFIG).write_text(text) and None


def tensors(change: Callable[[str, np.ndarray[Any, Any]], np.ndarray[Any, Any]], **more: object) -> Spoil:
    def spoil(folder: Path) -> None:
        content: Tensors = {name: change(name, values) for name, values in adapter_tensors().items()}
        save_file(content, folder / WEIGHTS)
        config(**more)(folder)

    return spoil


def header(length: int, text: bytes = b"{}") -> Spoil:
    return lambda folder: (folder / WEIGHTS).write_bytes(struct.pack("<Q", length) + text) and None


def pickled(folder: Path) -> None:
    (folder / WEIGHTS).unlink()
    for name in ("adapter_model.bin", "training_args.bin", "optimizer.pt"):
        (folder / name).write_bytes(pickle.dumps(Canary(folder / "canary")))


def overlapping(folder: Path) -> None:
    entry = {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}
    text = json.dumps(dict.fromkeys(adapter_tensors(), entry)).encode()
    (folder / WEIGHTS).write_bytes(struct.pack("<Q", len(text)) + text + bytes(4))


def cut(folder: Path) -> None:
    whole = (folder / WEIGHTS).read_bytes()
    (folder / WEIGHTS).write_bytes(whole[: len(whole) // 2])


def halved(folder: Path) -> None:
    save_file({k: v for k, v in adapter_tensors().items() if "layers.0" in k}, folder / WEIGHTS)


def folder_as_file(folder: Path) -> None:
    (folder / WEIGHTS).unlink()
    (folder / WEIGHTS).mkdir()


def not_a_number(name: str, values: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    found = values.copy()
    found.flat[-1] = np.nan
    return found


HOSTILE: dict[str, Spoil] = {
    "nothing": lambda folder: shutil.rmtree(folder) or folder.mkdir(),
    "pickled": pickled,
    "config is no JSON": config_text("{"),
    "config without end": config_text('{"a":' * 100_000),
    "config of 2 MiB": config(base_model_name_or_path="x" * 2**21),
    "config names code": config(auto_mapping={"parent_library": "os", "base_model_class": "system"}),
    "rank of another file": config(r=RANK * 2),
    "no scale": config(lora_alpha=0),
    "endless header": header(2**63),
    "header of 90 MiB": header(90 * 2**20),
    "tensors upon each other": overlapping,
    "half a file": cut,
    "half the layers": halved,
    "a folder as file": folder_as_file,
    "not a number": tensors(not_a_number),
    "not trained": tensors(lambda name, values: values * ("lora_A" in name)),
    "of a larger model": tensors(lambda name, values: np.repeat(values, 2, axis=1 if "lora_A" in name else 0)),
    "too large to be computed": tensors(lambda name, values: values * np.float32(1e30)),
}
REASONS = {
    "CheckpointNotFound",
    "CheckpointInvalid",
    "CheckpointIncomplete",
    "CheckpointUnsupported",
    "BaseModelMismatch",
    "AdapterIneffective",
    "ProbeFailed",
}


@pytest.mark.parametrize("spoil", HOSTILE.values(), ids=HOSTILE)
async def test_whatever_is_offered_the_served_model_answers_byte_for_byte_as_before(
    served: Served, spoil: Spoil, request: pytest.FixtureRequest
) -> None:
    folder = an_adapter(served.runs / request.node.callspec.id.replace(" ", "-"))
    spoil(folder)
    async with httpx.AsyncClient(base_url=served.url, timeout=60) as client:
        before = await told(client, 40)
        offered = asyncio.create_task(asyncio.to_thread(loaded, served.url, folder))
        meanwhile = []
        while not offered.done():
            meanwhile.append((await told(client, 40)).tokens)
            await asyncio.wait([offered], timeout=0.5)  # the machine is for the offer, too
        found, after = await offered, await told(client, 40)
    assert found["state"] == "failed"
    assert found["error"]["type"] in REASONS, found["error"]
    assert len(found["error"]["message"]) > 20
    assert (found["before"]["model"], found["after"]) == ("genes", None)
    assert {*meanwhile, after.tokens} == {before.tokens}
    assert (after.model, after.checkpoint) == (before.model, before.checkpoint)
    assert not (folder / "canary").exists()
