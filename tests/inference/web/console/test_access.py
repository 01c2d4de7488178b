"""Whether everybody can use the page, by keyboard, by ear, in the dark, on a phone; and whether its policy holds."""

from typing import Any, Literal

import pytest
from playwright.async_api import Browser, Page, expect

from forge_inference.web.app import Parts
from tests.inference.web.console.conftest import Console
from tests.inference.web.console.scripts import HOSTILE, QUESTION, TEXT
from tests.science.papers.corpus import FOLDER
from tests.support.browser import a_page

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]  # one browser for all

_FAULTS = """() => {
  const faults = [];
  const shown = (node) => node.checkVisibility();
  const labels = (node) => [...(node.labels ?? [])].map((each) => each.textContent).join("").trim();
  const named = (node) => node.getAttribute("aria-label") || labels(node);
  for (const input of document.querySelectorAll("input, select, textarea, progress, meter")) {
    if (!named(input)) faults.push(`no label: ${input.outerHTML}`);
  }
  for (const button of document.querySelectorAll("button, a, summary")) {
    if (!button.textContent.trim()) faults.push(`no name: ${button.outerHTML}`);
  }
  for (const box of document.querySelectorAll("[role=region], [role=group], [role=tablist]")) {
    if (!named(box)) faults.push(`no name: ${box.cloneNode().outerHTML}`);
  }
  const ids = [...document.querySelectorAll("[id]")].map((node) => node.id);
  faults.push(...ids.filter((id, place) => ids.indexOf(id) < place).map((id) => `id twice: ${id}`));
  for (const name of ["aria-controls", "aria-labelledby", "aria-describedby", "for"]) {
    for (const node of document.querySelectorAll(`[${name}]`)) {
      const there = document.getElementById(node.getAttribute(name));
      if (!there) faults.push(`leads nowhere: ${node.cloneNode().outerHTML}`);
    }
  }
  const levels = [...document.querySelectorAll("h1, h2, h3, h4")].filter(shown).map((node) => Number(node.tagName[1]));
  if (levels.filter((level) => level === 1).length !== 1) faults.push("not one h1");
  levels.forEach((level, place) => place && level > levels[place - 1] + 1 && faults.push(`heading skipped: ${levels}`));
  if (document.querySelector("[tabindex]:not([tabindex='0'], [tabindex='-1'])")) faults.push("an order of its own");
  if (document.documentElement.lang !== "en") faults.push("no language");
  for (const cell of document.querySelectorAll("th")) if (!cell.scope) faults.push("a heading of nothing");
  return faults;
}"""

_PALE = """() => {
  const light = ([r, g, b]) => {
    const part = (value) => (value / 255 <= 0.04045 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4);
    return 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
  };
  const numbers = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const behind = (node) => {
    for (let at = node; at; at = at.parentElement) {
      const colour = numbers(getComputedStyle(at).backgroundColor);
      if (colour.length === 3 || colour[3] === 1) return colour;
    }
    return [255, 255, 255];
  };
  const pale = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  for (let text = walker.nextNode(); text; text = walker.nextNode()) {
    const node = text.parentElement;
    if (!text.data.trim() || !node.checkVisibility()) continue;
    const [one, other] = [light(numbers(getComputedStyle(node).color)), light(behind(node))];
    const contrast = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
    if (contrast < 4.5) pale.push(`${contrast.toFixed(1)}: ${text.data.trim().slice(0, 40)}`);
  }
  return pale;
}"""


async def _everything(page: Page) -> None:
    """Each tab with results, all folds open; the last one stays open."""
    await page.get_by_role("button", name="Fill in an example").click()
    await page.get_by_role("button", name="Ask", exact=True).click()
    await expect(page.locator("#ask .figure")).to_be_visible()
    await page.get_by_role("tab", name="Analyse a paper").click()
    await page.get_by_label("Text of the paper").fill((FOLDER / "trial-iron.txt").read_text())
    await page.get_by_role("button", name="Analyse", exact=True).click()
    await expect(page.locator("#paper .figure")).to_be_visible()
    await page.get_by_role("tab", name="Compare").click()
    await page.get_by_label("Prompt").fill("What is HBB?")
    await page.get_by_role("button", name="Compare", exact=True).click()
    await expect(page.locator("#compare .progress")).to_have_text("Both answers are there.")
    await page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_everything_has_a_name_and_every_word_stands_out(
    browser: Browser, url: str, scheme: Literal["light", "dark"]
) -> None:
    async with a_page(browser, url, scheme) as page:
        await page.goto("/console")
        await _everything(page)
        for tab in ("Ask about genes", "Analyse a paper", "Compare"):
            await page.get_by_role("tab", name=tab).click()
            assert await page.evaluate(_FAULTS) == []
            assert await page.evaluate(_PALE) == []


async def test_the_page_fits_a_phone(browser: Browser, url: str) -> None:
    async with a_page(browser, url, width=320, height=640) as page:
        await page.goto("/console")
        await _everything(page)
        for tab in ("Ask about genes", "Analyse a paper", "Compare"):
            await page.get_by_role("tab", name=tab).click()
            assert await page.evaluate("document.documentElement.scrollWidth") <= 320


async def _to(page: Page, name: str) -> None:
    """By Tab alone; each stop on the way must be seen to be one."""
    for _ in range(60):
        await page.keyboard.press("Tab")
        at: dict[str, Any] = await page.evaluate(
            """() => {
                const node = document.activeElement;
                const seen = node.matches("[type=radio]") ? node.nextElementSibling : node;
                const style = getComputedStyle(seen);
                return { name: node.getAttribute("aria-label") ?? node.labels?.[0]?.textContent ?? node.textContent,
                         ring: style.outlineStyle === "none" ? 0 : parseFloat(style.outlineWidth) };
            }"""
        )
        assert at["ring"] >= 2, f"no ring around {at['name']!r}"
        if at["name"].startswith(name):
            return
    raise AssertionError(f"Tab never comes to {name!r}")


async def test_a_question_is_asked_and_its_citation_followed_by_keyboard_alone(console: Console) -> None:
    page = await console.opened()
    keys = page.keyboard
    await keys.press("Tab")
    await expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    await keys.press("Enter")
    await _to(page, "Question")
    await keys.type(QUESTION)
    await _to(page, "Gene function")
    await keys.press("ArrowRight")
    await expect(page.get_by_label("Pathways")).to_be_checked()
    await keys.press("ArrowLeft")
    await _to(page, "Text")
    await keys.type(TEXT.replace("\r", ""))
    await keys.press("Control+Enter")
    await expect(page.locator("#ask .progress")).to_contain_text("The answer is there")
    await _to(page, "Citation 2")
    await keys.press("Enter")
    assert (await page.locator("mark:focus").evaluate("mark => mark.textContent")).startswith("F508")
    await keys.press("Escape")
    await expect(page.locator("#ask .answer .chip").nth(1)).to_be_focused()
    await _to(page, "Provenance")
    await keys.press("Enter")
    await expect(page.get_by_text("sha256:aa", exact=True).first).to_be_visible()


async def test_tabs_go_by_arrows_and_the_address_remembers_them(console: Console) -> None:
    page = await console.opened()
    await page.get_by_role("tab", name="Ask about genes").focus()
    await page.keyboard.press("ArrowRight")
    await expect(page.get_by_role("tab", name="Analyse a paper")).to_be_focused()
    await expect(page.get_by_role("tabpanel", name="Analyse a paper")).to_be_visible()
    await page.keyboard.press("End")
    await expect(page.get_by_role("tabpanel", name="Compare")).to_be_visible()
    assert page.url.endswith("#compare")
    await page.reload()
    await expect(page.get_by_role("tabpanel", name="Compare")).to_be_visible()


async def test_what_happens_is_told_to_those_who_listen(console: Console) -> None:
    page = await console.opened()
    for form in ("ask", "paper", "compare"):
        assert await page.locator(f"#{form} .progress[role=status]").count() == 1
        assert await page.locator(f"#{form} .problem[role=alert]").count() == 1
    assert await page.locator("#served[role=status]").count() == 1


async def test_the_policy_holds_against_markup_and_scripts_that_get_in(console: Console) -> None:
    page = await console.opened()
    for attempt in (
        "document.body.insertAdjacentHTML('beforeend', markup)",
        "document.querySelector('main').innerHTML = markup",
        "document.body.append(document.createRange().createContextualFragment(markup))",
    ):
        tried = f"(markup) => {{ try {{ {attempt}; return ''; }} catch (e) {{ return e.name; }} }}"
        refused = await page.evaluate(tried, HOSTILE)
        assert refused == "TypeError", attempt
    broken = """async ([tag, name, value]) => {
        const told = new Promise((resolve) => {
            addEventListener("securitypolicyviolation", (event) => resolve(event.effectiveDirective));
        });
        const node = document.createElement(tag);
        node.setAttribute(name, value);
        document.body.append(node);
        return told;
    }"""
    assert await page.evaluate(broken, ["img", "src", "https://elsewhere.example/x.png"]) == "img-src"
    assert await page.evaluate(broken, ["iframe", "src", "https://elsewhere.example/"]) == "frame-src"
    assert await page.evaluate(broken, ["div", "style", "color: red"]) == "style-src-attr"
    assert "owned" not in await page.title()
    console.complaints.clear()


async def test_a_name_of_a_model_stays_text(console: Console, parts: Parts) -> None:
    parts.engine._present.name = HOSTILE  # type: ignore[attr-defined]  # as a folder could be called
    page = await console.opened()
    await expect(page.locator("#served strong")).to_have_text(HOSTILE)
    assert await page.locator("img, main script").count() == 0


async def test_a_server_that_still_loads_is_shown_as_such(console: Console, parts: Parts) -> None:
    parts.draining = True
    page = await console.opened()
    await expect(page.locator("#served")).to_have_text("hbb does not answer yet: the server is stopping")
