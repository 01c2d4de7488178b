"""What a question about genes may ask for beside its answer: lists, units of places, texts without citations."""

import re
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.inference.science.text.test_offsets import in_utf16
from tests.inference.web.test_genomics import ASKED, PATH, TEXT, ask, writes
from tests.support.engines import ScriptedEngine

GENES = "TP53 is lost [3]. BRCA1 repairs breaks (Smith et al., 2019). The 𝛼-catenin (CTNNA1) binds β-catenin."
WORDS = ["𝛼-catenin", "🧬", "CTNNA1", "TNF‑α", "F508del.", "e\u0301", "\n\n", "It falls."]


def _places(found: dict[str, Any], texts: dict[str, str]) -> list[tuple[str, int, int, str]]:
    """Every place in an answer: of which text, where, and what it should cut out."""
    told = [
        (f"context:{each['context_id']}", each["start"], each["end"], each["cited_text"]) for each in found["citations"]
    ]
    told += [("answer", each["start"], each["end"], each["text"]) for each in found["unsupported_claims"]]
    told += [("answer", each["start"], each["end"], each["text"]) for each in found["unverified_identifiers"]]
    for concept in found["concepts"]:
        first = concept["mentions"][0]
        told.append((first["in"], first["start"], first["end"], concept["text"]))
    return told


@settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(WORDS), max_size=12))
async def test_every_place_is_right_in_both_units(
    api: httpx.AsyncClient, engine: ScriptedEngine, words: list[str]
) -> None:
    context = f"🧬 {' '.join(words)} CFTR is a chloride channel. " * 2
    writes(engine, "🧬 CFTR is a chloride channel [S1]. 𝛼 rs12345 is new to all of us. PMID: 12345678 too, they say.")
    in_units = {unit: await ask(api, context=context, offset_unit=unit) for unit in ("codepoint", "utf16")}
    answer = in_units["utf16"]["answer"]
    texts = {"query": ASKED["query"], "context:ctx1": context, "answer": answer}
    assert in_units["utf16"]["unverified_identifiers"]
    for unit, found in in_units.items():
        assert found["offset_unit"] == unit
        for name, start, end, said in _places(found, texts):
            cut = texts[name][start:end] if unit == "codepoint" else in_utf16(texts[name], start, end)
            assert cut.replace("\u0301", "") == said.replace("\u0301", "") or cut.startswith("e\u0301")
    for one, other in zip(in_units["codepoint"]["citations"], in_units["utf16"]["citations"], strict=True):
        assert one["offset_unit"] == "codepoint"
        assert answer[one["answer_start"] : one["answer_end"]] == in_utf16(
            answer, other["answer_start"], other["answer_end"]
        )


async def test_sentences_that_were_left_out_are_told_in_the_unit(
    api: httpx.AsyncClient, engine: ScriptedEngine
) -> None:
    engine.tokens = lambda request: [1] * (len(str(request.prompt)) // 2)
    writes(engine, "CFTR is a chloride channel [S1].")
    context = f"{TEXT} " + "The 🧬 tells of the weather in town. " * 300
    [used] = (await ask(api, context=context, offset_unit="utf16"))["context_usage"]
    assert used["truncated"]
    assert {in_utf16(context, *place) for place in used["left_out"]} >= {"The 🧬 tells of the weather in town."}


async def test_a_list_is_told_item_by_item(api: httpx.AsyncClient, engine: ScriptedEngine) -> None:
    writes(engine, "The genes are:\n- TP53 [S1]\n- BRCA1\n- EGFR [S9]\n- TP53", finish="length")
    found = await ask(api, query="Which genes?", context=GENES, answer_form="list", offset_unit="utf16")
    assert [each["text"] for each in found["items"]] == ["TP53", "BRCA1", "EGFR"]
    by_number = {each["number"]: each for each in found["citations"]}
    first, second, third = found["items"]
    assert by_number[first["citations"][0]]["cited_text"] == "TP53 is lost [3]."
    assert by_number[second["citations"][0]]["attribution"] == "post_hoc"
    assert (third["citations"], third["supported"], third["cut_off"]) == ([], False, True)
    assert found["dropped_citations"] == [{"raw": "[S9]", "reason": "no such sentence"}]
    assert in_utf16(found["answer"], third["start"], third["end"]) == "EGFR [S9]"
    assert found["parsed"] == {"status": "parsed", "form": "marked", "repeated": 1, "lines_outside": 1, "why": None}
    assert "begins with a dash" in str(engine.requests[0].prompt)
    assert found["sections"] == {}


async def test_what_is_no_list_is_told_to_be_none_and_counted(
    api: httpx.AsyncClient, admin: httpx.AsyncClient, engine: ScriptedEngine
) -> None:
    writes(engine, "TP53 is lost in many tumours [S1], and BRCA1 repairs breaks.")
    found = await ask(api, query="Which genes?", context=GENES, answer_form="list")
    assert (found["items"], found["parsed"]["status"]) == (None, "failed")
    assert found["parsed"]["why"] == "it wrote a sentence"
    assert found["answer"].startswith("TP53 is lost")
    assert 'forge_readings_total{outcome="list_unparsed",task="genomics"} 1.0' in (await admin.get("/metrics")).text


@pytest.mark.parametrize(("require_context", "abstained"), [(True, True), (False, False)])
async def test_an_empty_list_is_an_answer_unless_it_must_be_supported(
    api: httpx.AsyncClient, engine: ScriptedEngine, require_context: bool, abstained: bool
) -> None:
    writes(engine, "NONE")
    found = await ask(
        api, query="Which genes like TP53?", context=GENES, answer_form="list", require_context=require_context
    )
    assert (found["abstained"], found["items"]) == (abstained, None if abstained else [])


async def test_a_claim_without_support_is_listed(api: httpx.AsyncClient, engine: ScriptedEngine) -> None:
    writes(
        engine,
        "CFTR is a chloride channel. [S1] Nobody found it in 1999. F508del keeps it from the cell surface.",
    )
    found = await ask(api)
    assert [each["attribution"] for each in found["citations"]] == ["model_marker", "post_hoc"]
    assert [each["text"] for each in found["unsupported_claims"]] == ["Nobody found it in 1999."]
    assert found["confidence"]["evidence"]["supported_claims"] == 2


async def test_what_a_model_wrote_in_declining_is_not_told_in_pieces(
    api: httpx.AsyncClient, engine: ScriptedEngine
) -> None:
    writes(engine, "BRAF and PMID: 12345678 aside: INSUFFICIENT EVIDENCE")
    found = await ask(api)
    assert found["abstain_reason"] == "model_declined"
    assert (found["unsupported_claims"], found["unverified_identifiers"]) == ([], [])
    assert "answer" not in {place["in"] for each in found["concepts"] for place in each["mentions"]}


async def test_citations_of_the_context_are_not_shown_and_still_quoted(
    api: httpx.AsyncClient, engine: ScriptedEngine
) -> None:
    writes(engine, "BRCA1 repairs breaks [S2].")
    found = await ask(api, query="What does BRCA1 do?", context=GENES, strip_citations=True)
    assert "[S2] BRCA1 repairs breaks." in str(engine.requests[0].prompt)
    [citation] = found["citations"]
    assert citation["cited_text"] == "BRCA1 repairs breaks (Smith et al., 2019)."
    assert found["preprocessing"]["context:ctx1"]["citations"] == 2


async def test_mentions_are_told_of_the_texts_that_were_asked_for(
    api: httpx.AsyncClient, engine: ScriptedEngine
) -> None:
    writes(engine, "CFTR binds BRAF (PMID: 12345678).")
    found = await ask(api, concepts={"sources": ["answer"]})
    assert {place["in"] for each in found["concepts"] for place in each["mentions"]} == {"answer"}
    by_name = {each["normalized"]["name"]: each for each in found["concepts"] if each["normalized"]}
    assert (by_name["CFTR"]["in_context"], by_name["BRAF"]["in_context"]) == (True, False)
    assert len(found["unverified_identifiers"]) == 1, "which is no matter of what is told"


async def test_stop_words_go_to_the_engine_and_into_the_provenance(
    api: httpx.AsyncClient, engine: ScriptedEngine
) -> None:
    writes(engine, "It is a channel.")
    found = await ask(api, stop=["Evidence:"])
    assert engine.requests[0].stop == ("Evidence:", "\nQuestion:")
    assert found["provenance"]["sampling"]["stop"] == ["Evidence:"]


async def test_an_answer_says_whether_it_would_come_again(api: httpx.AsyncClient, engine: ScriptedEngine) -> None:
    writes(engine, "It is a channel.")
    greedy = (await ask(api))["provenance"]
    assert greedy["deterministic"] is False
    assert "batch" in greedy["not_deterministic_because"]
    drawn = (await ask(api, temperature=1))["provenance"]
    assert "no seed" in drawn["not_deterministic_because"]
    declined = (await ask(api, context=[], require_context=True))["provenance"]
    assert (declined["deterministic"], declined["not_deterministic_because"]) == (True, None)


async def test_several_questions_may_come_as_a_list(api: httpx.AsyncClient, engine: ScriptedEngine) -> None:
    writes(engine, "CFTR is a chloride channel [S1].")
    answer = await api.post(PATH, json=[ASKED, {**ASKED, "query_type": "weather"}])
    assert answer.status_code == 200, answer.text
    first, second = answer.json()["results"]
    assert (first["error"], second["answer"]) == (None, None)
    assert (await api.post(PATH, json=[])).status_code == 422


async def test_abstentions_are_counted_by_kind_of_question_and_reason(
    api: httpx.AsyncClient, admin: httpx.AsyncClient
) -> None:
    await ask(api, context=[], require_context=True)
    told = (await admin.get("/metrics")).text
    assert re.search(r'forge_abstentions_total\{query_type="gene_function",reason="no_context"\} 1\.0', told)
