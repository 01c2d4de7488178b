"""POST /api/v1/genomics/query, with an engine that writes what a test tells it to."""

import json
import time
from typing import Any

import httpx
import pytest

from forge_inference.engine.contract import Chunk, Request, Scored
from forge_inference.engine.errors import Overloaded
from tests.support.engines import ScriptedEngine

PATH = "/api/v1/genomics/query"
TEXT = "𝛼-Keratin aside, CFTR is a chloride channel. F508​del keeps it from the cell surface. TNF‑α does not."
ASKED = {"query": "What does F508del do to CFTR?", "query_type": "gene_function", "context": TEXT}


def writes(engine: ScriptedEngine, text: str, finish: Any = "stop") -> None:
    words = text.split(" ")
    engine.script = lambda _: [
        Chunk(word if last else f"{word} ", 7, -0.5, 40, finish=finish if last else None)
        for number, word in enumerate(words)
        for last in [number == len(words) - 1]
    ]


async def ask(api: httpx.AsyncClient, **changes: Any) -> dict[str, Any]:
    answer = await api.post(PATH, json={**ASKED, **changes})
    assert answer.status_code == 200, answer.text
    assert answer.headers["x-intended-use"] == "research-use-only"
    found: dict[str, Any] = answer.json()
    return found


async def test_a_citation_is_an_exact_span_of_what_was_sent(api: httpx.AsyncClient, engine: ScriptedEngine) -> None:
    writes(engine, "Molecular function: F508del keeps CFTR from the cell surface [S2].")
    found = await ask(api)
    [citation] = found["citations"]
    assert TEXT[citation["start"] : citation["end"]] == citation["cited_text"]
    assert citation["cited_text"] == "F508​del keeps it from the cell surface."
    assert (citation["context_id"], citation["attribution"]) == ("ctx1", "model_marker")
    claim = found["answer"][citation["answer_start"] : citation["answer_end"]]
    assert claim == "Molecular function: F508del keeps CFTR from the cell surface [S2]."
    assert list(found["sections"]) == ["molecular_function"]
    assert found["preprocessing"] == {"context:ctx1": {"invisible": 1}}


async def test_everything_named_is_told_with_its_places(api: httpx.AsyncClient, engine: ScriptedEngine) -> None:
    writes(engine, "CFTR is a channel (PMID: 12345678) [S1].")
    found = await ask(api)
    texts = {"query": ASKED["query"], "context:ctx1": TEXT, "answer": found["answer"]}
    by_id = {each["normalized"]["id"]: each for each in found["concepts"] if each["normalized"]}
    assert {"query", "context:ctx1", "answer"} == {each["in"] for each in by_id["HGNC:1884"]["mentions"]}
    assert by_id["HGNC:1884"]["in_context"]
    for concept in found["concepts"]:
        first = concept["mentions"][0]
        assert texts[first["in"]][first["start"] : first["end"]].replace("​", "") == concept["text"]
    [variant] = [each for each in found["concepts"] if each["variant"]]
    told = variant["variant"]
    assert (told["canonical"], told["gene"], told["validation"]) == ("p.Phe508del", "CFTR", "syntax")
    [made_up] = found["unverified_identifiers"]
    assert found["answer"][made_up["start"] : made_up["end"]] == "PMID: 12345678"


async def test_a_confidence_says_what_it_is_and_is_not_calibrated(
    api: httpx.AsyncClient, engine: ScriptedEngine
) -> None:
    writes(engine, "CFTR is a chloride channel [S1].")
    told = (await ask(api))["confidence"]
    assert (told["method"], told["kind"], told["calibrated"]) == ("sequence_logprob", "uncalibrated", False)
    assert told["value"] == pytest.approx(0.6065, abs=1e-4)
    assert (told["evidence"]["claims"], told["evidence"]["supported_claims"]) == (1, 1)
    assert (await ask(api, confidence={"method": "none"}))["confidence"]["value"] is None


@pytest.mark.parametrize(
    ("changes", "reason", "asks_the_model"),
    [
        ({"context": []}, "no_context", False),
        ({"query": "What does BRAF do?"}, "not_in_context", False),
        ({"query": "Who wrote it?"}, "not_in_context", False),
        ({"writes": "INSUFFICIENT EVIDENCE"}, "model_declined", True),
        ({"writes": "It makes haemoglobin in 12 patients [S2]."}, "unsupported", True),
    ],
)
async def test_what_the_context_does_not_hold_is_not_answered(
    api: httpx.AsyncClient, engine: ScriptedEngine, changes: dict[str, Any], reason: str, asks_the_model: bool
) -> None:
    writes(engine, changes.pop("writes", "It is a channel [S1]."))
    found = await ask(api, require_context=True, **changes)
    assert (found["abstained"], found["abstain_reason"], found["answer"]) == (True, reason, None)
    assert (found["citations"], found["confidence"]["value"], found["finish_reason"]) == ([], None, "abstain")
    assert bool(found["withheld_answer"]) == (reason == "unsupported")
    assert bool(engine.requests) == asks_the_model


async def test_a_closed_question_is_scored_and_nothing_is_written(
    api: httpx.AsyncClient, engine: ScriptedEngine
) -> None:
    codes = {"yes": [70, 71], "no": [80], "maybe": [90, 91, 92], "a": [97], "7": [55]}
    likely = {70: -0.1, 71: -0.3, 80: -1.2, 90: -3.0, 91: -3.0, 92: -3.0}
    engine.tokens = lambda request: codes.get(str(request.prompt), [1, 2, 3])
    engine.scores = lambda request: [Scored(token, likely.get(token), ()) for token in request.prompt]  # type: ignore[union-attr,arg-type]
    found = await ask(api, answer_form="yes_no_maybe", query="Is CFTR a channel?")
    assert found["answer"] == "yes"
    assert [each["text"] for each in found["options"]] == ["yes", "no", "maybe"]
    assert found["options"][0]["mean_logprob"] == pytest.approx(-0.2)
    assert sum(each["probability_among_options"] for each in found["options"]) == pytest.approx(1)
    assert found["confidence"]["method"] == "choice_softmax"
    assert (engine.requests, found["citations"]) == ([], [])


async def test_a_context_that_does_not_fit_is_cut_to_its_best_sentences(
    api: httpx.AsyncClient, engine: ScriptedEngine
) -> None:
    engine.tokens = lambda request: [1] * (len(str(request.prompt)) // 2)
    writes(engine, "CFTR is a chloride channel [S1].")
    padding = " ".join(f"Sentence number {number} tells of the weather in town." for number in range(300))
    found = await ask(api, context=[{"id": "a", "text": TEXT}, {"id": "b", "text": padding}], include_prompt=True)
    first, second = found["context_usage"]
    assert (first["truncated"], first["used_sentences"]) == (False, 3)
    assert second["truncated"]
    assert second["used_sentences"] < second["sentences"] == 300
    start, end = second["left_out"][0]
    assert padding[start:end].startswith("Sentence number")
    assert len(found["prompt"]) // 2 + 512 <= engine.max_model_len
    assert found["usage"]["prompt_tokens"] == len(found["prompt"]) // 2


async def test_a_stream_ends_with_the_whole_result(api: httpx.AsyncClient, engine: ScriptedEngine) -> None:
    writes(engine, "CFTR is a chloride channel [S1].")
    answer = await api.post(PATH, json={**ASKED, "stream": True})
    *events, done = [line.removeprefix("data: ") for line in answer.text.split("\n\n") if line]
    deltas, result = [json.loads(each) for each in events[:-1]], json.loads(events[-1])
    assert done == "[DONE]"
    assert "".join(each["text"] for each in deltas) == result["result"]["answer"]
    assert (result["type"], len(result["result"]["citations"])) == ("result", 1)


async def test_a_model_without_turns_is_stopped_where_it_would_ask_itself(
    api: httpx.AsyncClient, engine: ScriptedEngine
) -> None:
    writes(engine, "It is a channel.")
    await ask(api)
    assert engine.requests[0].stop == ("\nQuestion:",)
    engine.info = {"chat_template": "{{ messages }}"}
    told = await ask(api)
    assert engine.requests[1].stop == ()
    assert told["provenance"]["prompt"]["template"] == "chat"


async def test_an_answer_can_be_made_again_from_what_is_told(api: httpx.AsyncClient, engine: ScriptedEngine) -> None:
    writes(engine, "It is a channel.", finish="length")
    found = await ask(api, seed=7, genome_assembly="GRCh38")
    told = found["provenance"]
    assert told["checkpoint"] == "sha256:aa"
    assert told["lexicon"]["gene"]["source"] == "hgnc@builtin-1"
    assert told["prompt"]["wording_sha256"].startswith("sha256:")
    assert (told["sampling"]["seed"], told["genome_assembly"], found["truncated"]) == (7, "GRCh38", True)
    assert found["notice"]["use"] == "research_use_only"


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"query_type": "weather"}, "query_type"),
        ({"query": ""}, "query"),
        ({"query": "   "}, "query"),
        ({"answer_form": "choice"}, "choices"),
        ({"answer_form": "choice", "choices": ["A", "a "]}, "choices"),
        ({"context": [{"id": "a", "text": "x"}, {"id": "a", "text": "y"}]}, "same id"),
        ({"context": [{"id": "a b", "text": "x"}]}, "id"),
        ({"confidence": {"method": "choice_softmax"}}, "confidence.method"),
        ({"surprise": 1}, "surprise"),
    ],
)
async def test_what_makes_no_sense_is_refused_by_name(
    api: httpx.AsyncClient, changes: dict[str, Any], says: str
) -> None:
    answer = await api.post(PATH, json={**ASKED, **changes})
    assert answer.status_code == 422
    assert says in answer.json()["error"]["message"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("ACGT" * 100_000, "sequence"),
        ("<!DOCTYPE html><p>CFTR</p>", "web page"),
        ("<p>text of it</p>\n" * 20_000, "tags"),
        ("%PDF-1.7 1 0 obj", "PDF"),
        ("QUJDRA==" * 50_000, "without a space"),
        (" \n ", "blank"),
    ],
)
async def test_a_context_that_is_no_prose_is_refused_at_once(
    api: httpx.AsyncClient, engine: ScriptedEngine, text: str, says: str
) -> None:
    start = time.process_time()
    answer = await api.post(PATH, json={**ASKED, "context": [{"id": "odd", "text": text}]})
    assert (answer.status_code, engine.requests) == (422, [])
    assert says in answer.json()["error"]["message"]
    assert time.process_time() - start < 2


async def test_several_questions_have_an_answer_or_an_error_each(
    api: httpx.AsyncClient, engine: ScriptedEngine
) -> None:
    writes(engine, "CFTR is a chloride channel [S1].")
    wrong = {**ASKED, "query_type": "weather"}
    asked = [ASKED, wrong, {**ASKED, "stream": True}, {**ASKED, "model": "nobody"}, {**ASKED, "context": "<html>"}]
    answer = await api.post(PATH, json={"requests": asked})
    assert answer.status_code == 200
    first, *others = answer.json()["results"]
    assert (first["index"], first["error"], len(first["answer"]["citations"])) == (0, None, 1)
    assert [(each["index"], each["answer"]) for each in others] == [(index, None) for index in range(1, 5)]
    kinds = [each["error"]["type"] for each in others]
    assert kinds == ["InvalidRequest", "InvalidRequest", "UnknownAdapter", "InvalidRequest"]
    assert "query_type" in others[0]["error"]["message"]


async def test_a_fault_is_told_of_the_field_that_has_it(api: httpx.AsyncClient) -> None:
    answer = await api.post(PATH, json={**ASKED, "query_type": "weather"})
    assert answer.json()["error"]["param"] == "query_type"
    assert (await api.post(PATH, json={"requests": []})).json()["error"]["param"] == "requests"


async def test_a_full_queue_is_told_before_anything_is_streamed(api: httpx.AsyncClient, engine: ScriptedEngine) -> None:
    def full(_: Request) -> list[Chunk]:
        raise Overloaded("too many", 3)

    engine.script = full
    for stream in (False, True):
        answer = await api.post(PATH, json={**ASKED, "stream": stream})
        assert (answer.status_code, answer.headers["retry-after"]) == (429, "3")


async def test_what_became_of_questions_is_counted(
    api: httpx.AsyncClient, admin: httpx.AsyncClient, engine: ScriptedEngine
) -> None:
    writes(engine, "CFTR is a channel [S9].")
    await ask(api)
    await ask(api, context=[], require_context=True)
    told = (await admin.get("/metrics")).text
    assert 'forge_readings_total{outcome="answered",task="genomics"} 1.0' in told
    assert 'forge_readings_total{outcome="abstained",task="genomics"} 1.0' in told
    assert 'forge_readings_total{outcome="citation_dropped",task="genomics"} 1.0' in told
