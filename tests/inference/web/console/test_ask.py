"""Questions about genes, asked and read in a real browser."""

import re

import pytest
from playwright.async_api import Page, Request, expect

from forge_inference.engine.contract import Scored
from forge_inference.engine.errors import Overloaded
from tests.inference.web.console.conftest import Console
from tests.inference.web.console.scripts import CITED, HOSTILE, QUESTION, TEXT, spoken
from tests.support.engines import ScriptedEngine

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]  # one browser for all
PATH = "**/api/v1/genomics/query"


async def _fill(page: Page, query: str = QUESTION, text: str = TEXT) -> None:
    await page.get_by_label("Question", exact=True).fill(query)
    await page.get_by_label("Text", exact=True).fill(text)


async def _ask(page: Page) -> None:
    await page.get_by_role("button", name="Ask", exact=True).click()
    await expect(page.locator("#ask .progress")).to_have_text(re.compile("^The answer is there|abstained"))


async def test_a_citation_leads_to_exactly_the_text_that_is_cited(console: Console, engine: ScriptedEngine) -> None:
    said = "F508del keeps 𝒞FTR from the 🧬 cell surface [S2]. CFTR is a chloride channel [S1]."
    engine.script = lambda _: spoken(said)
    page = await console.opened()
    await _fill(page)
    await _ask(page)
    answer = page.locator("#ask .answer")
    await expect(answer).to_have_text("F508del keeps 𝒞FTR from the 🧬 cell surface 1. CFTR is a chloride channel 2.")
    await answer.get_by_role("button", name="Citation 1").click()
    mark = page.locator("mark:focus")
    assert await mark.evaluate("mark => mark.textContent") == CITED
    # What a browser's text field holds has line ends of one character; the places count in what was sent.
    assert await page.get_by_role("region", name="Text ctx1").evaluate("box => box.textContent") == TEXT.replace(
        "\r\n", "\n"
    )
    await page.keyboard.press("Escape")
    await expect(answer.get_by_role("button", name="Citation 1")).to_be_focused()
    await answer.get_by_role("button", name="Citation 2").click()
    assert await mark.evaluate("mark => mark.textContent") == "𝛼-Keratin aside 🧬, CFTR is a chloride channel."


async def test_everything_that_is_told_of_an_answer_is_shown(console: Console, engine: ScriptedEngine) -> None:
    page = await console.opened()
    await page.get_by_role("button", name="Fill in an example").click()
    await page.get_by_text("More settings").locator("visible=true").click()
    await page.get_by_label("Show what the model was asked").check()
    await _ask(page)
    results = page.locator("#ask-results")
    await expect(results.locator(".unverified")).to_have_text("PMID: 31415926")
    await expect(results.get_by_text("Citations that lead nowhere: [S9] (no such sentence).")).to_be_visible()
    row = results.get_by_role("row").filter(has_text="HGNC:1884")
    await expect(row).to_contain_text(re.compile(r"CFTR.*gene.*one entry of a table.*query, review, cells, answer"))
    confidence = results.locator("article").filter(has=page.get_by_role("heading", name="Confidence"))
    await expect(confidence).to_contain_text("0.73")
    await expect(confidence).to_contain_text("Not calibrated")
    await expect(confidence).to_contain_text("It is no 73 % chance of being right.")
    await expect(confidence).to_contain_text(re.compile(r"of 4 claims share words"))
    await results.get_by_text("Provenance, for the methods section").click()
    await expect(results.get_by_text("sha256:aa", exact=True).first).to_be_visible()
    await results.get_by_text("What the model was asked").click()
    prompt = await results.get_by_role("region", name="The prompt").text_content()
    assert prompt == engine.requests[0].prompt
    await expect(results.get_by_text("For research. Not for diagnosis")).to_be_visible()
    concept = results.locator(".text .concept.variant").first
    await expect(concept).to_have_text("F508del")


async def test_the_answer_as_json_can_be_kept(console: Console) -> None:
    page = await console.opened()
    await _fill(page)
    await _ask(page)
    await page.get_by_text("The whole answer as JSON").click()
    async with page.expect_download() as download:
        await page.get_by_role("button", name="Save as a file").click()
    assert re.fullmatch(r"gq-\w+\.json", (await download.value).suggested_filename)


async def test_where_the_texts_do_not_speak_of_it_the_page_says_that_there_is_no_answer(console: Console) -> None:
    page = await console.opened()
    await _fill(page, query="What does BRAF do?")
    await _ask(page)
    await expect(page.locator("#ask .note.warn")).to_have_text("No answer. The texts do not speak of what is asked.")
    await expect(page.locator("#ask .figure")).to_have_text("–")


async def test_a_closed_question_shows_how_the_weight_is_divided(console: Console, engine: ScriptedEngine) -> None:
    codes = {"a loss": [70], "a gain": [80], "a": [97], "7": [55]}
    likely = {70: -0.1, 80: -1.2}
    engine.tokens = lambda request: codes.get(str(request.prompt), [1, 2, 3])
    engine.scores = lambda request: [Scored(token, likely.get(token), ()) for token in request.prompt]  # type: ignore[union-attr,arg-type]
    page = await console.opened()
    await _fill(page)
    await page.get_by_label("Form of the answer").select_option("choice")
    await page.get_by_label("Options, one a line").fill("a gain\n\na loss\n")
    await _ask(page)
    await expect(page.locator("#ask .answer")).to_have_text("a loss")
    rows = page.locator("#ask-results tbody").first.get_by_role("row")
    await expect(rows).to_have_count(2)
    await expect(rows.first).to_contain_text("75.0 %")


async def test_a_list_is_shown_one_by_one_with_what_no_sentence_supports(
    console: Console, engine: ScriptedEngine
) -> None:
    engine.script = lambda _: spoken("- CFTR is a chloride channel [S1]\n- BRCA1 repairs breaks of DNA strands [S2]")
    page = await console.opened()
    await _fill(page)
    await page.get_by_label("Form of the answer").select_option("list")
    await _ask(page)
    rows = page.locator("#ask-results tbody").first.get_by_role("row")
    await expect(rows).to_have_count(2)
    await expect(rows.nth(0)).to_contain_text(re.compile(r"CFTR is a chloride channel\s*supported\s*1"))
    await expect(rows.nth(1)).to_contain_text(re.compile(r"BRCA1 repairs breaks of DNA strands\s*no support\s*2"))
    await page.get_by_text("1 claim that no sentence supports").click()
    await expect(page.locator("#ask-results li.prose")).to_contain_text("BRCA1 repairs breaks")


async def test_several_answers_are_compared_and_how_many_agree_is_said(
    console: Console, engine: ScriptedEngine
) -> None:
    engine.script = lambda _: spoken("CFTR is a chloride channel [S1].")
    page = await console.opened()
    await _fill(page)
    await page.get_by_text("More settings").locator("visible=true").click()
    await page.get_by_label("How often to ask").select_option("5")
    await _ask(page)
    await expect(page.locator("#ask-results")).to_contain_text("5 of 5 answers to the same question said the same")
    assert {request.sampling.temperature for request in engine.requests} == {0.7}
    assert len(engine.requests) == 5
    await page.get_by_label("Temperature").locator("visible=true").fill("0")
    await page.get_by_role("button", name="Ask", exact=True).click()
    await expect(page.locator("#ask .problem")).to_contain_text("at 0 all samples of answer_frequency are the same")
    await expect(page.locator("#ask-temperature")).to_be_focused()
    console.complaints.clear()


async def test_nothing_that_anybody_says_becomes_markup(console: Console, engine: ScriptedEngine) -> None:
    engine.script = lambda _: spoken(f"CFTR is {HOSTILE} a channel of rs99999 [S1].")
    page = await console.opened()
    await _fill(page, text=f"CFTR is a channel {HOSTILE} of epithelial cells.")
    await page.get_by_label("Answer from these texts alone").uncheck()
    await _ask(page)
    for fold in await page.locator("#ask-results details > summary").all():
        await fold.click()
    await expect(page.locator("#ask .answer")).to_contain_text("<img src=x")
    await expect(page.locator("#ask-results .text").first).to_contain_text("</script>")
    assert await page.locator("main img, main script, main iframe").count() == 0
    assert await page.title() == "Console · ScientificLLM-Forge"


async def test_a_long_answer_can_be_stopped_and_the_model_is_free(console: Console, engine: ScriptedEngine) -> None:
    engine.goes_on.clear()  # the first word comes, the second does not
    page = await console.opened()
    await _fill(page)
    await page.get_by_role("button", name="Ask", exact=True).click()
    await expect(page.locator("#ask .answer")).to_contain_text("Molecular")
    await page.get_by_role("button", name="Cancel").locator("visible=true").click()
    await expect(page.locator("#ask .progress")).to_have_text("Cancelled.")
    await engine.closed.wait()
    await expect(page.get_by_role("button", name="Ask", exact=True)).to_be_focused()
    engine.goes_on.set()
    await _ask(page)


async def test_a_busy_server_is_told_with_how_long_to_wait(console: Console, engine: ScriptedEngine) -> None:
    def busy(_: object) -> list[object]:
        raise Overloaded("40 prompts wait already", retry_after=7)

    engine.script = busy  # type: ignore[assignment]
    page = await console.opened()
    await _fill(page)
    await page.get_by_role("button", name="Ask", exact=True).click()
    problem = page.locator("#ask .problem")
    await expect(problem).to_contain_text("Too many are asking right now. 40 prompts wait already.")
    await expect(problem).to_contain_text("Try again in 7 seconds.")
    console.complaints.clear()  # the browser tells of the status too


async def test_what_the_server_refuses_is_told_at_the_field_that_it_is_about(console: Console) -> None:
    page = await console.opened()
    await _fill(page)
    await page.get_by_role("button", name="Add a text").click()
    second = page.get_by_role("group", name="Text ctx2")
    await second.get_by_label("Text", exact=True).fill("%PDF-1.7 is no prose")
    await page.get_by_role("button", name="Ask", exact=True).click()
    await expect(page.locator("#ask .problem")).to_contain_text("context ctx2: it is a PDF file: send the text in it")
    await expect(second.get_by_label("Text", exact=True)).to_be_focused()
    await expect(second.get_by_label("Text", exact=True)).to_have_attribute("aria-invalid", "true")
    await second.get_by_role("button", name="Remove the text ctx2").click()
    await _ask(page)
    await expect(page.locator("#ask .problem")).to_be_empty()
    console.complaints.clear()


async def test_a_field_that_is_folded_away_is_shown_when_it_is_refused(console: Console) -> None:
    page = await console.opened()
    await _fill(page)
    await page.evaluate("document.querySelector('#ask-seed').value = '-1'; document.forms[0].noValidate = true")
    await page.get_by_role("button", name="Ask", exact=True).click()
    await expect(page.locator("#ask .problem")).to_contain_text("seed: Input should be greater than or equal to 0")
    await expect(page.locator("#ask-seed")).to_be_focused()
    console.complaints.clear()


async def test_a_server_that_is_gone_is_told_and_what_was_typed_stays(console: Console) -> None:
    page = await console.opened()
    await _fill(page)
    await page.route(PATH, lambda route: route.abort("connectionreset"))
    await page.get_by_role("button", name="Ask", exact=True).click()
    await expect(page.locator("#ask .problem")).to_contain_text("The server cannot be reached.")
    assert await page.get_by_label("Question", exact=True).input_value() == QUESTION
    await page.unroute(PATH)
    await page.route(PATH, lambda route: route.fulfill(body='data: {"type": "answer.delta", "text": "CFTR"}\n\n'))
    await page.get_by_role("button", name="Ask", exact=True).click()
    await expect(page.locator("#ask .problem")).to_contain_text("The connection broke before the answer was whole.")
    await expect(page.locator("#ask .answer")).to_have_text("CFTR")
    console.complaints.clear()


async def test_texts_without_words_are_left_out_and_the_server_has_its_own_defaults(console: Console) -> None:
    page = await console.opened()
    await page.get_by_label("Question", exact=True).fill(QUESTION)
    await page.get_by_role("button", name="Add a text").click()
    await page.get_by_role("group", name="Text ctx2").get_by_label("Text", exact=True).fill(TEXT)

    def asks(request: Request) -> bool:
        return request.method == "POST"

    async with page.expect_request(asks) as asked:
        await page.get_by_role("button", name="Ask", exact=True).click()
    body = (await asked.value).post_data_json
    assert body == {
        "query": QUESTION, "query_type": "gene_function", "answer_form": "text", "model": "hbb", "stream": True,
        "context": [{"id": "ctx2", "text": TEXT.replace("\r\n", "\n")}],
        "require_context": True, "include_prompt": False,
    }  # fmt: skip
