"""Papers, analysed in a real browser."""

import re
from typing import Any

import pytest
from playwright.async_api import Page, expect

from tests.inference.web.console.conftest import Console
from tests.inference.web.console.scripts import HOSTILE, spoken
from tests.science.papers.corpus import FOLDER
from tests.support.engines import ScriptedEngine
from tests.support.pdfs import set_in_pages

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]  # one browser for all
IRON = (FOLDER / "trial-iron.txt").read_text()
JATS = """<?xml version="1.0"?><article><front><article-meta><title-group><article-title>Iron 𝒜</article-title>
</title-group></article-meta></front><body><sec><title>Results</title>
<p>🧬 Weight fell, <italic>t</italic>(28) = 2.20, p = .36.</p></sec></body></article>"""


async def _analyse(page: Page) -> None:
    await page.get_by_role("button", name="Analyse", exact=True).click()
    await expect(page.locator("#paper .progress")).to_have_text(re.compile("^The analysis is there"))


def _card(page: Page, title: str) -> Any:
    heading = page.get_by_role("heading", name=title, exact=True)
    return page.locator("#paper-results article").filter(has=heading)


async def test_an_analysis_tells_each_thing_with_a_quotation_that_leads_to_its_place(console: Console) -> None:
    page = await console.opened("paper")
    await page.get_by_label("Text of the paper").fill(IRON)
    await _analyse(page)
    await expect(page.locator("#paper .progress")).to_contain_text("2 findings, 2")
    await expect(_card(page, "Summary")).to_contain_text("It caused less nausea")
    await expect(_card(page, "Key findings")).to_contain_text("Alternate-day iron did not raise haemoglobin")
    limits = _card(page, "Limitations").locator("section")
    await expect(limits.nth(0)).to_contain_text("it was not powered for subgroups")
    await expect(limits.nth(1)).to_contain_text("Symptoms were self-reported")
    await expect(_card(page, "Where this comes from")).to_contain_text("not told: 1 of")

    criteria = _card(page, "Reporting").locator("tbody tr")
    await expect(criteria).to_have_count(24)
    await expect(criteria.filter(has_text="not expected")).to_have_count(4)
    concealed = criteria.filter(has_text="Allocation concealed until assignment")
    await expect(concealed.get_by_role("cell").nth(0)).to_have_text("addressed")
    quotation = await concealed.locator("blockquote .prose").text_content()
    assert quotation is not None
    assert quotation in IRON
    await concealed.get_by_role("button", name="Show in the text").click()
    mark = page.locator("mark:focus")
    assert await mark.text_content() == quotation
    assert await page.locator("#paper-results .text.prose").text_content() == IRON
    await page.keyboard.press("Escape")
    await expect(concealed.get_by_role("button")).to_be_focused()
    await expect(_card(page, "Statistics").locator("tbody tr")).to_have_count(2)


async def test_a_file_is_read_as_what_it_is_and_places_count_in_what_was_read(
    console: Console, engine: ScriptedEngine
) -> None:
    page = await console.opened("paper")
    paper = {"name": "iron.nxml", "mimeType": "application/xml", "buffer": JATS.encode()}
    await page.get_by_label("Or a file").set_input_files(paper)  # type: ignore[arg-type]
    await expect(page.locator("#paper-chosen")).to_contain_text("iron.nxml, 1 kB, is read as JATS")
    await page.get_by_label("Rules alone").check()
    await _analyse(page)
    assert engine.requests == []
    row = _card(page, "Statistics").locator("tbody tr")
    await expect(row).to_contain_text("does not fit")
    await row.get_by_role("button", name="Show in the text").click()
    assert await page.locator("mark:focus").text_content() == "t(28) = 2.20, p = .36"
    await page.get_by_role("button", name="Take it away").click()
    await expect(page.locator("#paper-chosen")).to_be_hidden()


async def test_a_pdf_is_sent_as_it_is_and_its_pages_are_told(console: Console) -> None:
    page = await console.opened("paper")
    paper = {"name": "Iron.PDF", "mimeType": "application/pdf", "buffer": set_in_pages(IRON)}
    await page.get_by_label("Or a file").set_input_files(paper)  # type: ignore[arg-type]
    await expect(page.locator("#paper-chosen")).to_contain_text("is read as PDF")
    await page.get_by_label("Summary", exact=True).uncheck()
    await _analyse(page)
    row = _card(page, "Statistics").locator("tbody tr").first
    await expect(row).to_contain_text(re.compile(r"page \d · Show in the text"))
    await row.get_by_role("button", name="Show in the text").click()
    assert await page.locator("mark:focus").text_content() == await row.locator("blockquote .prose").text_content()
    await expect(_card(page, "Summary")).to_have_count(0)


async def test_latex_is_known_when_it_is_pasted(console: Console) -> None:
    page = await console.opened("paper")
    said = "\\section{Results}\nThe \\emph{weight} of 𝒜 fell, $t(28) = 2.20$, $p = .36$."
    await page.get_by_label("Text of the paper").fill(
        f"% draft\n\\documentclass{{article}}\n\\begin{{document}}\n{said}\n\\end{{document}}"
    )
    await page.get_by_label("Rules alone").check()
    await _analyse(page)
    await _card(page, "Statistics").get_by_role("button", name="Show in the text").click()
    assert await page.locator("mark:focus").text_content() == "t(28) = 2.20$, $p = .36"


async def test_a_text_file_with_the_line_ends_of_windows_is_sent_as_it_is(console: Console) -> None:
    page = await console.opened("paper")
    text = "𝒜 title\r\n\r\nResults\r\n\r\n🧬 Weight fell, t(28) = 2.20, p = .36.\r\n"
    paper = {"name": "paper.txt", "mimeType": "text/plain", "buffer": text.encode()}
    await page.get_by_label("Or a file").set_input_files(paper)  # type: ignore[arg-type]
    await page.get_by_label("Rules alone").check()
    await _analyse(page)
    await _card(page, "Statistics").get_by_role("button", name="Show in the text").click()
    assert await page.locator("mark:focus").evaluate("mark => mark.textContent") == "t(28) = 2.20, p = .36"
    assert await page.locator("#paper-results .text.prose").evaluate("box => box.textContent") == text


async def test_progress_is_told_and_a_reading_can_be_stopped(console: Console, engine: ScriptedEngine) -> None:
    engine.script = None  # it never answers
    page = await console.opened("paper")
    await page.get_by_label("Text of the paper").fill(IRON)
    await page.get_by_role("button", name="Analyse", exact=True).click()
    await expect(page.locator("#paper .progress")).to_have_text("The text is divided; the model reads …")
    await expect(page.get_by_role("progressbar")).to_be_visible()
    await page.get_by_role("button", name="Cancel").locator("visible=true").press("Enter")
    await engine.closed.wait()
    await expect(page.locator("#paper .progress")).to_have_text("Cancelled.")
    await expect(page.get_by_role("progressbar")).to_be_hidden()


@pytest.mark.parametrize(
    ("text", "types", "said", "field"),
    [
        ("", True, "Paste the text of a paper, or choose a file.", "#paper-text"),
        ("A title", False, "Tell of what: tick one at least.", "[value=summary]"),
        ("%PDF-1.7", True, "text: it is a PDF file: send the text in it", "#paper-text"),
    ],
)
async def test_what_is_missing_or_refused_is_said_at_its_field(
    console: Console, text: str, types: bool, said: str, field: str
) -> None:
    page = await console.opened("paper")
    await page.get_by_label("Text of the paper").fill(text)
    for name in () if types else ("Summary", "Key findings", "Methods", "Data and results", "Limitations"):
        await page.get_by_label(name, exact=True).uncheck()
    await page.get_by_role("button", name="Analyse", exact=True).click()
    await expect(page.locator("#paper .problem")).to_contain_text(said)
    await expect(page.locator(f"#paper {field}")).to_be_focused()
    console.complaints.clear()


async def test_a_manuscript_cannot_become_markup(console: Console, engine: ScriptedEngine) -> None:
    engine.script = lambda _: spoken(f"FINDING: {HOSTILE} [S1]\nnonsense {HOSTILE}")
    page = await console.opened("paper")
    await page.get_by_label("Text of the paper").fill(f"{HOSTILE}\n\n{IRON}\n\nData were deposited at {HOSTILE}.")
    await _analyse(page)
    for fold in await page.locator("#paper-results summary").all():
        await fold.click()
    await expect(page.locator("#paper-results")).to_contain_text("</script>")
    assert await page.locator("main img, main script").count() == 0
    assert await page.title() == "Console · ScientificLLM-Forge"
