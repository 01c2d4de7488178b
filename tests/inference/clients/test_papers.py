"""Papers as a client sends them, against the real server with the tiny model and 4,096 tokens of context."""

import re
from collections.abc import Iterator

import httpx
import pytest

from tests.inference.clients.conftest import Served, a_server
from tests.inference.engine.conftest import QUIET
from tests.science.papers.corpus import FOLDER

pytestmark = [pytest.mark.model, QUIET]
PATH = "/api/v1/papers/analyze"
MOUSE = (FOLDER / "mouse-colitis.txt").read_text()
LONGEST, NEW = 4096, 32


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with a_server(tmp_path_factory.mktemp("reader"), length=LONGEST) as found:
        yield found


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
