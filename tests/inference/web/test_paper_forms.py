"""The same paper as plain text, JATS, LaTeX and PDF, through real HTTP messages."""

import base64
import json
from typing import Any

import httpx
import pytest

from forge_inference.web.middleware import BODY_LIMIT, PDF_LIMIT
from tests.inference.web.test_papers import ANALYZE, MOUSE, _quotes
from tests.science.papers.forms import as_latex
from tests.support.engines import ScriptedEngine
from tests.support.pdfs import a_pdf, encrypted, lines, set_in_pages, stream

PDF = {"content-type": "application/pdf"}


async def _analysed(api: httpx.AsyncClient, **body: Any) -> dict[str, Any]:
    answer = await api.post(ANALYZE, json={"use_model": False, **body})
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_a_pdf_is_sent_as_it_is_and_quoted_by_its_text_and_page(api: httpx.AsyncClient) -> None:
    content = set_in_pages(MOUSE, head="J. Test Results 12")
    query = {"use_model": "false", "analysis_type": ["limitations", "benchmarks"]}
    answer = await api.post(ANALYZE, params=query, content=content, headers=PDF)
    assert answer.status_code == 200, answer.text
    assert answer.headers["x-intended-use"] == "research-use-only"
    found = answer.json()
    assert (found["source"]["kind"], found["source"]["quality"]) == ("pdf", "pdf_text_layer")
    assert found["source"]["left_out"][0] == {"why": "repeated_line", "said": "J. Test Results 12", "pages": [1, 2, 3]}
    text, pages = found["text"], found["source"]["pages"]
    assert [page["number"] for page in pages] == [1, 2, 3]
    assert [page["start"] for page in pages[1:]] == [page["end"] for page in pages[:-1]]
    quotes = _quotes(found)
    assert len(quotes) > 20
    for each in quotes:
        assert text[each["start"] : each["end"]] == each["quote"]
        assert pages[each["page"] - 1]["start"] <= each["start"] < pages[each["page"] - 1]["end"]
    assert found["methodology"] is None, "it was not asked for"
    same = await _analysed(api, pdf_base64=base64.encodebytes(content).decode(), analysis_type=query["analysis_type"])
    assert {**same, "id": 0, "timing_ms": 0} == {**found, "id": 0, "timing_ms": 0}


async def test_latex_is_quoted_from_the_latex(api: httpx.AsyncClient) -> None:
    latex = as_latex(MOUSE) + "\\input{appendix}"
    found = await _analysed(api, latex=latex)
    assert found["text"] is None
    assert found["source"] == {
        "kind": "latex",
        "quality": None,
        "pages": None,
        "left_out": [{"why": "other_file", "said": "\\input{appendix}", "pages": []}],
    }
    quotes = _quotes(found)
    assert len(quotes) > 20
    assert all(latex[each["start"] : each["end"]] == each["quote"] for each in quotes)
    assert {each["page"] for each in quotes} == {None}


async def test_all_forms_of_a_paper_say_the_same(api: httpx.AsyncClient) -> None:
    def told(found: dict[str, Any]) -> dict[str, Any]:
        return {
            "criteria": {each["id"]: each["status"] for each in found["quality"]["criteria"]},
            "statistics": [(each["test"], each["statistic"], each["decision"]) for each in found["statistics"]],
            "datasets": {each["name"]: each["role"] for each in found["benchmarks"]["datasets"]},
            "limitations": len(found["limitations"]["author_stated"]),
        }

    plain = told(await _analysed(api, text=MOUSE))
    assert told(await _analysed(api, latex=as_latex(MOUSE))) == plain
    assert told(await _analysed(api, pdf_base64=base64.b64encode(set_in_pages(MOUSE)).decode())) == plain


_SCANNED = a_pdf([[]] * 3)
_REFUSED = {
    "no pdf": ("not_a_pdf", {"pdf_base64": base64.b64encode(b"<html>").decode()}),
    "scanned": ("no_text_layer", {"pdf_base64": base64.b64encode(_SCANNED).decode()}),
    "no base64": ("InvalidRequest", {"pdf_base64": "%PDF-1.7"}),
    "no latex": ("bad_latex", {"latex": "\\documentclass{article}"}),
    "macros": ("bad_latex", {"latex": "\\def\\x{\\x\\x}\\x"}),
    "no jats": ("bad_jats", {"jats_xml": "<html/>"}),
    "no prose in latex": ("no_prose", {"latex": "1 2 3 4 " * 1000}),
    "sequence in latex": ("no_prose", {"latex": "ACGT" * 2000}),
    "pdf as text": ("no_prose", {"text": "%PDF-1.7 " + "x " * 100}),
    "two": ("InvalidRequest", {"latex": "a", "text": "b"}),
}


@pytest.mark.parametrize("name", _REFUSED)
async def test_what_cannot_be_read_is_refused_by_field_and_code(
    api: httpx.AsyncClient, engine: ScriptedEngine, name: str
) -> None:
    code, body = _REFUSED[name]
    answer = await api.post(ANALYZE, json=body)
    assert answer.status_code == 422
    error = answer.json()["error"]
    assert (error["type"], error["code"]) == ("InvalidRequest", code)
    assert len(body) > 1 or error["message"].startswith(f"{next(iter(body))}: ")
    assert engine.requests == []


async def test_a_pdf_with_a_password_or_wrong_parameters_is_refused(api: httpx.AsyncClient) -> None:
    locked = await api.post(ANALYZE, content=encrypted(a_pdf([lines(["Locked."])]), "secret"), headers=PDF)
    assert (locked.status_code, locked.json()["error"]["code"]) == (422, "encrypted_pdf")
    wrong = await api.post(ANALYZE, params={"max_new_tokens": "many"}, content=_SCANNED, headers=PDF)
    assert (wrong.status_code, wrong.json()["error"]["param"]) == (422, "max_new_tokens")
    both = await api.post(ANALYZE, params={"text": "a"}, content=_SCANNED, headers=PDF)
    assert (both.status_code, "give one of" in both.json()["error"]["message"]) == (422, True)


async def test_one_of_several_papers_may_be_a_pdf_and_a_broken_one_says_so(api: httpx.AsyncClient) -> None:
    good = base64.b64encode(set_in_pages(MOUSE)).decode()
    papers = [{"pdf_base64": good}, {"pdf_base64": base64.b64encode(_SCANNED).decode()}, {"latex": as_latex(MOUSE)}]
    answer = await api.post(ANALYZE, json={"papers": papers, "use_model": False})
    first, scanned, last = answer.json()["results"]
    assert (first["analysis"]["source"]["kind"], last["analysis"]["source"]["kind"]) == ("pdf", "latex")
    assert scanned["error"]["code"] == "no_text_layer"


async def test_a_pdf_may_be_larger_than_other_bodies_and_has_its_own_limit(api: httpx.AsyncClient) -> None:
    said = ["Methods", "We weighed mice, and then their houses, every day.", "They were fed on demand by observers."]
    padded = a_pdf([lines(said)], stream(b"a picture " * (BODY_LIMIT // 5)))
    answer = await api.post(ANALYZE, params={"use_model": "false"}, content=padded, headers=PDF)
    assert answer.status_code == 200, answer.text
    answer = await api.post(ANALYZE, content=b"%PDF-" + b"x" * PDF_LIMIT, headers=PDF)
    assert answer.status_code == 413
    answer = await api.post(ANALYZE, json={"pdf_base64": base64.b64encode(padded).decode()})
    assert (answer.status_code, "application/pdf" in answer.json()["error"]["message"]) == (413, True)


async def test_the_documentation_has_both_ways(api: httpx.AsyncClient) -> None:
    operation = (await api.get("/openapi.json")).json()["paths"][ANALYZE]["post"]
    content = operation["requestBody"]["content"]
    assert content["application/pdf"]["schema"] == {"type": "string", "format": "binary"}
    assert content["application/json"]["schema"]["$ref"].endswith("/Analyze")


async def test_prompts_are_told_when_they_are_asked_for(api: httpx.AsyncClient, engine: ScriptedEngine) -> None:
    body = {"text": MOUSE[:2000], "analysis_type": "limitations", "max_new_tokens": 16}
    assert (await api.post(ANALYZE, json=body)).json()["prompts"] is None
    found = (await api.post(ANALYZE, json={**body, "include_prompt": True})).json()
    assert found["prompts"] == [str(request.prompt) for request in engine.requests[-len(found["prompts"]) :]]
    assert json.dumps(found["prompts"]).count("[S") > 3
