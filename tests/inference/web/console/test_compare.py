"""The adapter beside its base model, in a real browser."""

import pytest
from playwright.async_api import expect

from forge_inference.engine.contract import Chunk, Request
from forge_inference.engine.errors import PromptTooLong
from tests.inference.web.console.conftest import Console
from tests.inference.web.console.scripts import BASE, TRAINED, spoken
from tests.support.engines import ScriptedEngine

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]  # one browser for all


async def test_one_prompt_is_answered_with_and_without_the_adapter(console: Console, engine: ScriptedEngine) -> None:
    page = await console.opened("compare")
    await page.get_by_label("Prompt").fill("What is the function of HBB?")
    await page.get_by_role("button", name="Compare", exact=True).click()
    await expect(page.locator("#compare .progress")).to_have_text("Both answers are there.")
    left, right = await page.locator("#compare-results article").all()
    await expect(left.get_by_role("heading")).to_have_text("hbb (what is served)")
    await expect(right.get_by_role("heading")).to_have_text("base (without adapter)")
    await expect(left.locator(".answer")).to_have_text(TRAINED)
    await expect(right.locator(".answer")).to_have_text(BASE)
    await expect(right).to_contain_text("Confidence: 0.25 a token, not calibrated")
    await expect(page.locator("#compare-results .note").first).to_have_text(
        "The answers differ from the first word on."
    )
    assert {request.adapter for request in engine.requests} == {"", None}
    assert {request.max_new_tokens for request in engine.requests} == {128}
    boxes = [await side.bounding_box() for side in (left, right)]
    assert boxes[0] is not None
    assert boxes[1] is not None
    assert boxes[0]["y"] == boxes[1]["y"], "side by side"


async def test_an_adapter_that_changes_nothing_is_plain_to_see(console: Console, engine: ScriptedEngine) -> None:
    engine.script = lambda _: spoken(TRAINED)
    page = await console.opened("compare")
    await page.get_by_label("Prompt").fill("What is HBB?")
    await page.get_by_label("Prompt").press("Control+Enter")
    verdict = page.locator("#compare-results .note").first
    await expect(verdict).to_have_text("Both answers are the same, letter by letter.")


async def test_what_goes_wrong_on_one_side_leaves_the_other(console: Console, engine: ScriptedEngine) -> None:
    def one_side(request: Request) -> list[Chunk]:
        if request.adapter is None:
            raise PromptTooLong("the prompt has 9,000 tokens, and there is room for 2,048")
        return spoken(TRAINED)

    engine.script = one_side
    page = await console.opened("compare")
    await page.get_by_label("Prompt").fill("What is HBB?")
    await page.get_by_role("button", name="Compare", exact=True).click()
    await expect(page.locator("#compare .problem")).to_contain_text("9,000 tokens")
    left, right = await page.locator("#compare-results article").all()
    await expect(left.locator(".answer")).to_have_text(TRAINED)
    await expect(right.locator(".note.bad")).to_contain_text("9,000 tokens")
    console.complaints.clear()


async def test_adapters_that_were_loaded_can_be_chosen(console: Console, engine: ScriptedEngine) -> None:
    engine.beside["<b>genes</b>"] = engine.beside["other"] = None  # type: ignore[assignment]
    page = await console.opened("compare")
    options = page.get_by_label("Left").locator("option")
    await expect(options).to_have_text(["hbb (what is served)", "<b>genes</b>", "other", "base (without adapter)"])
    await expect(page.locator("b")).to_have_count(0)
