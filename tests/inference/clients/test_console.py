"""The console of a real server process with a real model, in a real browser."""

import re

import pytest
from playwright.async_api import expect

from tests.inference.clients.conftest import Served
from tests.support.browser import MISSING, a_browser, a_page, chromium

pytestmark = [
    pytest.mark.model,
    pytest.mark.browser,
    pytest.mark.skipif(chromium() is None, reason=MISSING),
]


async def test_a_person_asks_compares_and_analyses(served: Served) -> None:
    async with a_browser() as browser, a_page(browser, served.url) as page:
        complaints = list[str]()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        await page.goto("/console")
        await expect(page.locator("#served")).to_contain_text("genes is ready on cpu, not quantised, adapter changes")

        await page.get_by_label("Question", exact=True).fill("What does CFTR do?")
        await page.get_by_label("Text", exact=True).fill("CFTR is a chloride channel.")
        await page.get_by_label("Answer from these texts alone").uncheck()
        await page.get_by_text("More settings").locator("visible=true").click()
        await page.get_by_label("Longest answer").locator("visible=true").fill("16")
        await page.get_by_role("button", name="Ask", exact=True).click()
        await expect(page.locator("#ask .progress")).to_contain_text(re.compile("The answer is there|abstained"))
        await expect(page.locator("#ask-results").get_by_role("row", name="CFTR")).to_contain_text("HGNC:1884")

        await page.get_by_role("tab", name="Compare").click()
        await page.get_by_label("Prompt").fill("a b c")
        await page.get_by_label("Longest answer").locator("visible=true").fill("16")
        await page.get_by_role("button", name="Compare", exact=True).click()
        await expect(page.locator("#compare-results .note").first).to_contain_text("The answers differ")

        await page.get_by_role("tab", name="Analyse a paper").click()
        await page.get_by_label("Text of the paper").fill("Results\n\nWeight fell, t(28) = 2.20, p = .36.")
        await page.get_by_label("Rules alone").check()
        await page.get_by_role("button", name="Analyse", exact=True).click()
        await expect(page.locator("#paper-results")).to_contain_text("significance depends on it")
        assert complaints == []
