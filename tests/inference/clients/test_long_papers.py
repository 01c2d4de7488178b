"""Papers of 40 pages to the real server, with 4,096 tokens of context: nothing is over, nobody waits for long."""

import asyncio
import hashlib
import json
from collections.abc import Iterator
from typing import Any

import httpx
import psutil
import pytest

from tests.bench_science.crowding import crowded
from tests.inference.clients.conftest import Served, a_server
from tests.inference.engine.conftest import QUIET
from tests.science.papers.forms import forty_pages, sent_as
from tests.support.waiting import until

pytestmark = [pytest.mark.model, QUIET]
PAPERS, GENOMICS = "/api/v1/papers/analyze", "/api/v1/genomics/query"
LONGEST, NEW = 4096, 32
_MOST = 700 * 2**20  # bytes that a paper may take for a while, its process for a PDF included


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with a_server(tmp_path_factory.mktemp("reader"), length=LONGEST) as found:
        yield found


def _waiting_and_running(reader: Served) -> int:
    load = httpx.get(f"{reader.url}/api/v1/metrics").json()
    return int(load["waiting"] + load["running"])


def _memory(reader: Served) -> int:
    """Of the server and all that it has started."""
    port = reader.url.rpartition(":")[2]
    [server] = [each for each in psutil.Process().children() if port in each.cmdline()]
    found = 0
    for each in (server, *server.children(recursive=True)):
        try:
            found += each.memory_info().rss
        except psutil.NoSuchProcess:  # it has ended meanwhile
            continue
    return found


def _analysed(reader: Served, body: dict[str, Any]) -> tuple[dict[str, Any], int]:
    """The answer, and the most memory that was seen meanwhile."""

    async def both() -> tuple[httpx.Response, int]:
        async with httpx.AsyncClient(timeout=500) as client:
            task, most = asyncio.create_task(client.post(f"{reader.url}{PAPERS}", json=body)), 0
            while not task.done():
                most = max(most, await asyncio.to_thread(_memory, reader))
                await asyncio.wait({task}, timeout=0.1)
            return await task, most

    answer, most = asyncio.run(both())
    assert answer.status_code == 200, answer.text
    return answer.json(), most


@pytest.mark.parametrize("form", ["text", "jats_xml", "latex", "pdf_base64"])
def test_no_prompt_of_forty_pages_is_over_the_budget_and_memory_is_bounded(reader: Served, form: str) -> None:
    before = _memory(reader)
    body = {**sent_as(form, forty_pages()), "max_new_tokens": NEW, "max_model_calls": 64, "include_prompt": True}
    found, most = _analysed(reader, body)
    coverage, prompts = found["coverage"], found["prompts"]
    assert found["source"]["kind"] == form.removesuffix("_base64")
    assert coverage["parts"] > 10
    assert not coverage["sentences_too_long"]
    assert len(prompts) == coverage["model_calls"] == coverage["parts"] + 1
    assert [hashlib.sha256(each.encode()).hexdigest() for each in prompts] == found["provenance"]["prompts_sha256"]
    with httpx.Client(base_url=reader.url, timeout=60) as client:
        counts = [
            client.post("/tokenize", json={"messages": [{"role": "user", "content": prompt}]}).json()["count"]
            for prompt in prompts
        ]
    assert max(counts) + NEW <= LONGEST, "counted by the tokenizer that is served"
    assert sorted(counts)[len(counts) // 2] > LONGEST * 0.8, "and the room is used"
    assert sum(counts) == found["usage"]["prompt_tokens"]
    assert most - before < _MOST


@pytest.mark.parametrize("form", ["jats_xml", "pdf_base64"])
def test_short_questions_are_answered_nearly_as_soon_while_a_long_paper_is_read(reader: Served, form: str) -> None:
    """Twice the time at most is promised, and measured by `make bench-science`; here is room for busy machines."""
    found = asyncio.run(crowded(reader.url, sent_as(form, forty_pages()), new=NEW))
    assert found.questions > 5
    assert found.ratio < 6


_LONG = {
    "jats_xml": (PAPERS, {**sent_as("jats_xml", forty_pages()), "max_new_tokens": 1024, "max_model_calls": 256}),
    "pdf_base64": (PAPERS, {**sent_as("pdf_base64", forty_pages()), "max_new_tokens": 1024, "max_model_calls": 256}),
    "genomics": (
        GENOMICS,
        {
            "query": "What does F508del do to CFTR?",
            "query_type": "gene_function",
            "context": "F508del keeps CFTR from the surface of the cell. " * 200,
            "max_new_tokens": 2000,
        },
    ),
}


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize("what", _LONG)
def test_a_client_that_leaves_frees_the_engine_within_two_seconds(reader: Served, what: str, stream: bool) -> None:
    path, body = _LONG[what]

    async def left() -> None:
        async with httpx.AsyncClient(base_url=reader.url, timeout=300) as client:
            asked = asyncio.create_task(client.post(path, json={**body, "stream": stream}))
            await asyncio.to_thread(
                until, lambda: _waiting_and_running(reader) > 0, limit=120, what="the model to be asked"
            )
            asked.cancel()
            await asyncio.gather(asked, return_exceptions=True)

    asyncio.run(left())
    until(lambda: _waiting_and_running(reader) == 0, limit=2, what="the engine to be free", pause=0.02)


def test_progress_is_told_part_by_part(reader: Served) -> None:
    body = {**sent_as("pdf_base64", forty_pages()), "max_new_tokens": NEW, "max_model_calls": 64, "stream": True}
    with httpx.stream("POST", f"{reader.url}{PAPERS}", json=body, timeout=300) as answer:
        events = [json.loads(line[6:]) for line in answer.iter_lines() if line.startswith("data: {")]
    parts = events[-1]["coverage"]["parts"]
    assert [event["done"] for event in events if event.get("stage") == "map"] == [*range(1, parts + 1)]
