"""A prompt is asked as it was sent, and as scientific text is read where that was asked for."""

import httpx

from tests.support.engines import ScriptedEngine

GENERATE = "/api/v1/generate"
SENT = "The eﬃcient hae\u00admoglobin [3] is 10⁻³ as rare."


async def test_a_prompt_is_left_alone_unless_it_was_to_be_read(api: httpx.AsyncClient, engine: ScriptedEngine) -> None:
    [result] = (await api.post(GENERATE, json={"text": SENT})).json()["results"]
    assert engine.requests[0].prompt == SENT
    assert result["preprocessing"] is None


async def test_what_was_changed_is_counted_for_each_prompt(api: httpx.AsyncClient, engine: ScriptedEngine) -> None:
    body = {"text": [SENT, "plain"], "preprocess": "scientific", "strip_citations": True}
    answer = (await api.post(GENERATE, json=body)).json()
    assert [request.prompt for request in engine.requests] == ["The efficient haemoglobin is 10⁻³ as rare.", "plain"]
    assert [each["preprocessing"] for each in answer["results"]] == [{"letters": 1, "invisible": 1, "citations": 1}, {}]
    assert answer["provenance"]["sampling"]["preprocess"] == "scientific"


async def test_stripping_is_a_step_of_reading(api: httpx.AsyncClient) -> None:
    answer = await api.post(GENERATE, json={"text": SENT, "strip_citations": True})
    assert answer.status_code == 422
    assert "preprocess" in answer.json()["error"]["message"]
