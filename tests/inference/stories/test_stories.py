"""What each user of the scientific endpoints may rely on, with the words of a real small model, whatever they are.

The numbers are those of the user stories. A model of this size knows little and follows few orders, so nothing is
asked of what it says: only of what the server tells about it.
"""

import asyncio
import json
import re
from typing import Any

import httpx
import pytest

from forge_inference.science.text.numbers import numbers
from tests.inference.science.text.test_offsets import in_utf16
from tests.inference.stories import paper
from tests.inference.stories.conftest import LONGEST
from tests.support.waiting import until

pytestmark = [pytest.mark.model, pytest.mark.slow, pytest.mark.timeout(1800)]
QUERY, ANALYZE = "/api/v1/genomics/query", "/api/v1/papers/analyze"
ABSTRACTS = [
    {
        "id": "one",
        "text": "Cystic ﬁbrosis is caused by variants of CFTR, a chloride channel. F508del keeps the 𝛼‑helical protein "
        "from the cell surface (10⁻³ of normal). It is found in 85% of patients.",
        "source": {"pmid": "00000000"},
    },
    {"id": "two", "text": "🧬 In airway cells, CFTR carries bicarbonate too. TNF‑α lowers its expression by 40%."},
    {"id": "three", "text": "We treated 24 patients who carry p.Phe508del. Sweat chlo­ride fell by 45 mmol/l."},
]
CHECKLIST = ("randomisation", "blinding", "subject_characteristics", "ethics_approval", "sample_size_justification")
ASKED = {
    "query": "What does F508del do to CFTR?",
    "query_type": "gene_function",
    "context": ABSTRACTS,
    "max_new_tokens": 48,
}


def ask(api: httpx.Client, **changes: Any) -> dict[str, Any]:
    answer = api.post(QUERY, json={**ASKED, **changes})
    assert answer.status_code == 200, answer.text
    assert answer.headers["x-intended-use"] == "research-use-only"
    found: dict[str, Any] = answer.json()
    assert found["notice"]["use"] == "research_use_only"
    return found


def named(found: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Concepts by how they are first written."""
    return {each["text"]: each for each in found["concepts"]}


@pytest.mark.parametrize("unit", ["codepoint", "utf16"])
def test_1_a_biologist_finds_every_claim_cited_or_listed_as_unsupported(api: httpx.Client, unit: str) -> None:
    found = ask(api, offset_unit=unit)
    texts = {f"context:{each['id']}": str(each["text"]) for each in ABSTRACTS}
    texts |= {"query": str(ASKED["query"]), "answer": found["answer"] or found["withheld_answer"] or ""}

    def cut(text: str, start: int, end: int) -> str:
        return texts[text][start:end] if unit == "codepoint" else in_utf16(texts[text], start, end)

    for each in found["citations"]:
        assert cut(f"context:{each['context_id']}", each["start"], each["end"]) == each["cited_text"]
        assert cut("answer", each["answer_start"], each["answer_end"]).strip()
        assert each["attribution"] in ("model_marker", "post_hoc")
    for each in found["unsupported_claims"]:
        assert cut("answer", each["start"], each["end"]) == each["text"]
    supported = {each["answer_start"] for each in found["citations"] if each["support"] != "none"}
    listed = {each["start"] for each in found["unsupported_claims"]}
    assert not supported & listed
    assert len(supported) + len(listed) == found["confidence"]["evidence"]["claims"]
    for concept in found["concepts"]:
        for place in concept["mentions"]:
            assert cut(place["in"], place["start"], place["end"])
    assert named(found)["CFTR"]["normalized"]["id"] == "HGNC:1884"
    variant = named(found)["F508del"]["variant"]
    assert (variant["canonical"], variant["validation"], variant["gene"]) == ("p.Phe508del", "syntax", "CFTR")


def test_2_what_the_context_does_not_hold_is_not_answered(api: httpx.Client, admin: httpx.Client) -> None:
    found = ask(api, query="Which pathway does BRAF activate?", query_type="pathway_analysis", require_context=True)
    assert (found["abstained"], found["abstain_reason"], found["answer"]) == (True, "not_in_context", None)
    assert (found["citations"], found["confidence"]["value"]) == ([], None)
    told = admin.get("/metrics").text
    assert re.search(r'forge_abstentions_total\{query_type="pathway_analysis",reason="not_in_context"\} 1', told)


def test_3_an_answer_can_be_made_again_or_says_why_not(api: httpx.Client) -> None:
    body = {"context": [], "max_new_tokens": 16, "include_prompt": True}
    alone, again = ask(api, **body), ask(api, **body)
    assert alone["answer"] == again["answer"]
    told = alone["provenance"]
    assert told["checkpoint"].startswith("sha256:")
    assert told["adapter_effect"]["effective"]
    for digest in (told["prompt"]["wording_sha256"], told["prompt"]["chat_template_sha256"]):
        assert digest.startswith("sha256:")
    assert again["provenance"] == told
    assert ASKED["query"] in alone["prompt"]

    async def among_others() -> str:
        async with httpx.AsyncClient(base_url=api.base_url, timeout=api.timeout) as client:
            others = [
                client.post("/api/v1/generate", json={"text": f"{n} genes:", "max_new_tokens": 16}) for n in (1, 2)
            ]
            answer, *_ = await asyncio.gather(client.post(QUERY, json={**ASKED, **body}), *others)
            return str(answer.json()["answer"])

    # Neighbours in the batch may decide between two tokens that are as likely: that is what the answer says.
    if asyncio.run(among_others()) != alone["answer"]:
        assert told["deterministic"] is False
    assert told["deterministic"] is True or "batch" in told["not_deterministic_because"]


def test_4_a_confidence_says_what_it_is(api: httpx.Client) -> None:
    closed = ask(api, answer_form="yes_no_maybe", query="Is CFTR a chloride channel?")["confidence"]
    assert (closed["method"], closed["kind"], closed["calibrated"]) == ("choice_softmax", "uncalibrated", False)
    assert 0 < closed["value"] <= 1
    assert "not a chance" in closed["interpretation"]


def test_5_a_curator_sees_what_each_name_stands_for(api: httpx.Client) -> None:
    text = (
        "SEPT9 and MARCH1 were lost, and PD-1 was not. Patients with allergic rhinitis (AR) were seen; AR was mild. "
        "BRCA1/2 carriers had more NF-κB."
    )
    query = "Which genes were lost?"
    found = ask(api, query=query, context=text, answer_form="list", concepts={"sources": ["context"]})
    names = named(found)
    for old, new in (("SEPT9", "SEPTIN9"), ("MARCH1", "MARCHF1")):
        assert names[old]["normalized"]["name"] == new
        assert names[old]["notes"]
    assert names["PD-1"]["status"] == "ambiguous"
    assert len(names["PD-1"]["candidates"]) > 1
    assert names["NF-κB"]["type"] == "complex"
    genes = {each["normalized"]["name"] for each in found["concepts"] if each["type"] == "gene" and each["normalized"]}
    assert {"BRCA1", "BRCA2"} <= genes
    assert "AR" not in genes
    for concept in found["concepts"]:
        for place in concept["mentions"]:
            assert place["in"] == "context:ctx1"
            assert text[place["start"] : place["end"]]
    if found["items"] is None:
        assert found["parsed"]["status"] == "failed" or found["abstained"]
    for item in found["items"] or ():
        assert found["answer"][item["start"] : item["end"]].strip()


def test_6_a_journal_club_sees_what_was_read_and_what_can_be_believed(api: httpx.Client) -> None:
    asked = {"analysis_type": ["summary", "key_findings", "limitations"], "max_new_tokens": 96, "include_prompt": True}
    with api.stream("POST", ANALYZE, json={"jats_xml": paper.jats(pages=40), "stream": True, **asked}) as answer:
        assert answer.status_code == 200, answer.read()
        *progress, found = [json.loads(line[6:]) for line in answer.iter_lines() if line.startswith("data: {")]
    assert "error" not in found, found
    coverage, text = found["coverage"], found["text"]
    assert len(text) > 36 * paper.PAGE
    used = {each["kind"]: each["used"] for each in coverage["sections"]}
    assert used["results"]
    assert used["discussion"]
    assert not used["methods"]
    assert all(each["used"] or each["reason"] for each in coverage["sections"])
    assert [each["stage"] for each in progress] == ["read", *["map"] * coverage["parts"], "reduce"]
    assert coverage["model_calls"] == len(found["prompts"]) == coverage["parts"] + 1 > 2
    for prompt in found["prompts"]:
        chat = {"messages": [{"role": "user", "content": prompt}]}
        assert len(api.post("/tokenize", json=chat).json()["tokens"]) + 96 <= LONGEST
    told = [*found["key_findings"]["findings"], *found["summary"]["sentences"], *(found["limitations"]["model"])]
    for each in told:
        quoted = " ".join(place["quote"] for place in each["evidence"])
        assert each["evidence"]
        assert {number.value for number in numbers(each["statement"])} <= {number.value for number in numbers(quoted)}
    for place in [*found["limitations"]["author_stated"], *(place for each in told for place in each["evidence"])]:
        assert text[place["start"] : place["end"]] == place["quote"]
    assert len(found["limitations"]["author_stated"]) == 2
    assert all(each["rests_on_author_stated"] is not None for each in found["limitations"]["model"])
    assert sum(found["dropped"]["by_reason"].values()) >= found["dropped"]["lines"] - len(told)


def test_6_a_reader_who_leaves_gives_the_engine_back(api: httpx.Client) -> None:
    def busy() -> int:
        load = api.get("/api/v1/metrics").json()
        return int(load["waiting"] + load["running"])

    body = {"jats_xml": paper.jats(pages=40), "analysis_type": "key_findings", "max_new_tokens": 1024, "stream": True}
    with api.stream("POST", ANALYZE, json=body) as answer:
        lines = answer.iter_lines()  # kept: without it the client would hang up here
        assert next(lines)
        until(busy, limit=300, what="the model to be asked")
    # Within a step: two seconds where there is a GPU, and as long as one takes of a real model on a busy CPU.
    until(lambda: not busy(), limit=300, what="the engine to be free")


def test_7_a_reviewer_sees_each_item_of_the_checklist_with_its_sentence(api: httpx.Client) -> None:
    text = paper.mice()
    found = api.post(ANALYZE, json={"text": text, "use_model": False}).json()
    criteria = {each["id"]: each for each in found["quality"]["criteria"]}
    for criterion in (
        "randomisation",
        "blinding",
        "subject_characteristics",
        "ethics_approval",
        "sample_size_justification",
    ):
        assert criteria[criterion]["status"] in ("addressed", "addressed_negative"), criterion
        place = criteria[criterion]["evidence"]
        assert text[place["start"] : place["end"]] == place["quote"]
    assert criteria["randomisation"]["status"] == "addressed_negative"
    [statistic] = [each for each in found["statistics"] if "p = .36" in each["quote"]]
    assert (statistic["decision"], round(statistic["recomputed_p"], 3)) == ("decision_error", 0.036)
    assert found["provenance"]["deterministic"] is True
    abstract = text[: text.index("1. Introduction")]
    quality = api.post(ANALYZE, json={"text": abstract, "use_model": False}).json()["quality"]
    assert quality["score"] is None
    assert {each["status"] for each in quality["criteria"]} == {"not_assessable"}
