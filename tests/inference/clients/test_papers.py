"""Papers as a client sends them, against the real server with the tiny model and 4,096 tokens of context."""

import asyncio
import json
import re
import time
from collections.abc import Iterator
from typing import Any

import httpx
import psutil
import pytest

from tests.inference.clients.conftest import Served, a_server
from tests.inference.engine.conftest import QUIET
from tests.science.papers.corpus import FOLDER
from tests.support.waiting import until

pytestmark = [pytest.mark.model, QUIET]
PATH = "/api/v1/papers/analyze"
MOUSE = (FOLDER / "mouse-colitis.txt").read_text()
LONGEST, NEW = 4096, 32


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with a_server(tmp_path_factory.mktemp("reader"), length=LONGEST) as found:
        yield found


def _forty_pages() -> str:
    """The middle of a paper, said ten times: 40 pages of 2,500 characters each."""
    head, methods, rest = MOUSE.partition("2. Materials and Methods")
    body, mark, back = rest.partition("Data availability")
    results = body[body.index("3. Results") :]
    return head + methods + body + results * (100_000 // len(results)) + mark + back


def _waiting_and_running(reader: Served) -> int:
    load = httpx.get(f"{reader.url}/api/v1/metrics").json()
    return int(load["waiting"] + load["running"])


def test_a_paper_is_analysed_with_exact_quotations_and_the_tokens_are_counted(reader: Served) -> None:
    answer = httpx.post(f"{reader.url}{PATH}", json={"text": MOUSE, "max_new_tokens": NEW}, timeout=120)
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert found["coverage"]["model_calls"] == found["coverage"]["parts"] + 1
    assert found["usage"]["completion_tokens"] <= NEW * found["coverage"]["model_calls"]
    for criterion in found["quality"]["criteria"]:
        if quote := criterion["evidence"]:
            assert MOUSE[quote["start"] : quote["end"]] == quote["quote"]
    assert found["provenance"]["checkpoint"].startswith("sha256:")
    again = httpx.post(f"{reader.url}{PATH}", json={"text": MOUSE, "max_new_tokens": NEW}, timeout=120).json()
    same = {"id": 0, "timing_ms": 0}
    assert {**again, **same} == {**found, **same}


def test_what_a_random_model_writes_is_dropped_and_counted_and_in_the_metrics(reader: Served) -> None:
    body = {"text": MOUSE, "max_new_tokens": NEW, "analysis_type": "key_findings"}
    found = httpx.post(f"{reader.url}{PATH}", json=body, timeout=120).json()
    assert found["key_findings"]["findings"] == []
    assert sum(found["dropped"]["by_reason"].values()) == found["dropped"]["lines"] > 0
    text = httpx.get(f"{reader.admin}/metrics").text
    assert re.search(r'forge_readings_total\{outcome="(unreadable|cut_off|no_evidence)",task="papers"\}', text)


def test_forty_pages_keep_to_the_context_and_leave_room_for_others(reader: Served) -> None:
    body = {"text": _forty_pages(), "max_new_tokens": NEW, "max_model_calls": 64, "stream": True}
    short = {"text": "What is HBB?", "max_new_tokens": 8}
    events, waits = list[dict[str, Any]](), list[float]()

    async def read(client: httpx.AsyncClient) -> None:
        async with client.stream("POST", PATH, json=body) as answer:
            assert answer.status_code == 200, await answer.aread()
            events.extend([json.loads(line[6:]) async for line in answer.aiter_lines() if line.startswith("data: {")])

    async def ask(client: httpx.AsyncClient, reading: "asyncio.Task[None]") -> None:
        while not reading.done():
            before = time.monotonic()
            assert (await client.post("/api/v1/generate", json=short)).is_success
            waits.append(time.monotonic() - before)

    async def both() -> None:
        async with httpx.AsyncClient(base_url=reader.url, timeout=300) as client:
            reading = asyncio.create_task(read(client))
            await asyncio.gather(reading, ask(client, reading))

    asyncio.run(both())
    result = events[-1]
    assert "error" not in result, result
    assert result["coverage"]["parts"] > 10
    assert not result["coverage"]["sentences_too_long"]
    assert [event["done"] for event in events if event.get("stage") == "map"] == [
        *range(1, result["coverage"]["parts"] + 1)
    ]
    assert len(waits) > 3, "short requests were answered while the paper was read"


def test_a_reader_who_leaves_gives_the_engine_back_within_two_seconds(reader: Served) -> None:
    body = {"text": _forty_pages(), "max_new_tokens": 1024, "max_model_calls": 256, "stream": True}
    with httpx.stream("POST", f"{reader.url}{PATH}", json=body, timeout=120) as answer:
        lines = answer.iter_lines()  # kept: without it the client would hang up here
        assert next(lines)
        until(lambda: _waiting_and_running(reader) > 0, limit=60, what="the model to be asked")
    until(lambda: _waiting_and_running(reader) == 0, limit=2, what="the engine to be free")


def test_hostile_bodies_are_refused_in_two_seconds_and_little_memory(reader: Served) -> None:
    [process] = [
        each
        for each in psutil.Process().children(recursive=True)
        if reader.url.rpartition(":")[2] in " ".join(each.cmdline())
    ]
    before = process.memory_info().rss
    bomb = "".join(f'<!ENTITY e{i} "{f"&e{i - 1};" * 10 if i else "ha"}">' for i in range(10))
    bodies = [
        {"text": "ACGT" * 90_000},
        {"text": "<p>x</p> " * 40_000},
        {"text": "∑ ∫ = 1 2 3 ± " * 25_000},
        {"jats_xml": f"<!DOCTYPE article [{bomb}]><article>&e9;</article>"},
        {"jats_xml": "<article>" + "<sec>" * 150_000},
        {"text": "ACGT" * 5_000_000},
    ]
    for body in bodies:
        start = time.monotonic()
        answer = httpx.post(f"{reader.url}{PATH}", json=body, timeout=30)
        assert 400 <= answer.status_code < 500, answer.text
        assert time.monotonic() - start < 2
    assert process.memory_info().rss - before < 200 * 2**20
