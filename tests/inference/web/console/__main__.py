"""Take the pictures of docs/guides/console.md: python -m tests.inference.web.console"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Literal

from playwright.async_api import Page, expect

from forge_inference.engine.contract import Offer
from forge_inference.engine.exchange import Exchange
from forge_inference.telemetry.gpu import Gpus
from forge_inference.telemetry.metrics import Metrics
from forge_inference.web.app import Parts, create_app
from tests.harness.places import ROOT
from tests.inference.web.console.scripts import script
from tests.science.papers.corpus import FOLDER
from tests.support.browser import a_browser, a_page
from tests.support.engines import ScriptedEngine
from tests.support.listening import listening
from tests.support.pictures import picture

GUIDES = ROOT / "docs" / "guides"
LARGEST = 150_000  # bytes of a picture


async def _ask(page: Page) -> None:
    await page.get_by_role("button", name="Fill in an example").click()
    await page.get_by_role("button", name="Ask", exact=True).click()
    await page.locator("#ask .answer").get_by_role("button", name="Citation 2").click()
    await _show(page, "Answer")


async def _trust(page: Page) -> None:
    await _ask(page)
    await _show(page, "Confidence")


async def _show(page: Page, heading: str) -> None:
    await page.get_by_role("heading", name=heading).evaluate("heading => heading.parentElement.scrollIntoView()")
    await page.evaluate("document.querySelectorAll('form').forEach((form) => form.scrollTo(0, 0))")


async def _paper(page: Page) -> None:
    await page.get_by_label("Or a file").set_input_files(FOLDER / "rat-memory.txt")
    await page.get_by_role("button", name="Analyse", exact=True).click()
    await expect(page.locator("#paper .figure")).to_be_visible()
    await _show(page, "Reporting")


async def _compare(page: Page) -> None:
    await page.get_by_label("Prompt").fill("What is the function of HBB?")
    await page.get_by_role("button", name="Compare", exact=True).click()
    await expect(page.locator("#compare .progress")).to_have_text("Both answers are there.")


PICTURES: tuple[tuple[str, str, Literal["light", "dark"], Callable[[Page], Awaitable[None]]], ...] = (
    ("console-ask", "ask", "light", _ask),
    ("console-trust", "ask", "dark", _trust),
    ("console-paper", "paper", "light", _paper),
    ("console-compare", "compare", "light", _compare),
)


async def take() -> None:
    """Write each picture. Raises FileNotFoundError where there is no Chromium, ValueError for one that is too large."""
    engine, gpus = ScriptedEngine(), Gpus()
    engine.script = script

    def successor(offer: Offer) -> tuple[str, ScriptedEngine]:
        return offer.checkpoint.name, ScriptedEngine()

    exchange = Exchange("gene-facts", engine, successor, longest_answer=30)
    app = create_app(Parts(exchange, Metrics(exchange, gpus), gpus), [])
    async with listening(app) as url, a_browser() as browser:
        for name, tab, scheme, act in PICTURES:
            async with a_page(browser, url, scheme, width=1280, height=860) as page:
                await page.goto(f"/console#{tab}")
                await act(page)
                taken = await picture(page)
            if len(taken) > LARGEST:
                raise ValueError(f"{name} has {len(taken)} bytes")
            (GUIDES / f"{name}.png").write_bytes(taken)
            print(f"{name}.png: {len(taken) / 1000:.0f} kB")


if __name__ == "__main__":
    asyncio.run(take())
