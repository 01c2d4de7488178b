"""What may be asked for beside the analysis of a paper: units of places, style, prompts, text without citations."""

from typing import Any

import httpx
import pytest

from tests.inference.science.text.test_offsets import in_utf16
from tests.inference.web.test_papers import MOUSE, CountingEngine, _analysed, _quotes, _says
from tests.support.engines import ScriptedEngine

ASTRAL = MOUSE.replace("IL‑11", "𝛼‑IL🧬")


@pytest.fixture
def engine() -> ScriptedEngine:
    return CountingEngine()


def _unplaced(found: dict[str, Any]) -> dict[str, Any]:
    """Without what the unit changes."""
    return {**found, "id": 0, "timing_ms": 0, "offset_unit": 0}


async def test_every_quotation_is_right_in_both_units(api: httpx.AsyncClient, engine: ScriptedEngine) -> None:
    _says(engine, "FINDING: The receptor matters [{S}]\nMETHOD: It was measured [{S}]", "The receptor matters [{S}].")
    one, other = [await _analysed(api, text=ASTRAL, offset_unit=unit) for unit in ("codepoint", "utf16")]
    assert (one["offset_unit"], other["offset_unit"]) == ("codepoint", "utf16")
    assert len(_quotes(one)) == len(_quotes(other)) > 40
    for here, there in zip(_quotes(one), _quotes(other), strict=True):
        assert ASTRAL[here["start"] : here["end"]] == here["quote"] == there["quote"]
        assert in_utf16(ASTRAL, there["start"], there["end"]) == there["quote"]
    for here, there in zip(one["coverage"]["sections"], other["coverage"]["sections"], strict=True):
        assert ASTRAL[here["start"] : here["end"]] == in_utf16(ASTRAL, there["start"], there["end"])
    assert _quotes(one)[-1]["start"] < _quotes(other)[-1]["start"]


async def test_a_summary_may_be_for_everybody(api: httpx.AsyncClient, engine: ScriptedEngine) -> None:
    _says(engine, "FINDING: The receptor matters [{S}]", "The receptor matters [{S}].")
    plain = await _analysed(api, analysis_type="summary", style="plain_language", include_prompt=True)
    assert plain["summary"]["style"] == "plain_language"
    assert "no scientists" in plain["prompts"][-1]
    usual = await _analysed(api, analysis_type="summary", include_prompt=True)
    assert usual["summary"]["style"] == "abstract"
    assert "no scientists" not in usual["prompts"][-1]


async def test_prompts_are_told_if_they_are_asked_for(api: httpx.AsyncClient, engine: ScriptedEngine) -> None:
    _says(engine, "NONE")
    found = await _analysed(api, include_prompt=True)
    assert found["prompts"] == [request.prompt for request in engine.requests]
    assert len(found["provenance"]["prompts_sha256"]) == len(found["prompts"])
    assert (await _analysed(api))["prompts"] is None


async def test_citations_of_a_paper_are_not_shown_and_still_quoted(
    api: httpx.AsyncClient, engine: ScriptedEngine
) -> None:
    _says(engine, "FINDING: The gut secretes it [{S}]")
    text = "Results\n\nThe gut secretes it [4, 5]. The cells died.¹²"
    found = await _analysed(api, text=text, analysis_type="key_findings", strip_citations=True)
    assert "The gut secretes it.\n" in str(engine.requests[0].prompt)
    [[evidence]] = [each["evidence"] for each in found["key_findings"]["findings"]]
    assert evidence["quote"] == "The gut secretes it [4, 5]."
    assert found["preprocessing"]["citations"] == 2


async def test_an_analysis_says_whether_it_would_come_again(api: httpx.AsyncClient, engine: ScriptedEngine) -> None:
    assert (await _analysed(api, use_model=False))["provenance"]["deterministic"] is True
    _says(engine, "NONE")
    assert (await _analysed(api))["provenance"]["deterministic"] is False
