"""A confidence that was calibrated, and one whose profile is for something else, as a person reads them."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Locator, expect

from forge_inference.engine.contract import Scored
from forge_inference.science.genomics.profiles import read
from forge_inference.science.genomics.questions import template_digest
from forge_inference.web.app import Parts, create_app
from tests.inference.web.console.conftest import Console
from tests.support.engines import ScriptedEngine
from tests.support.listening import listening
from tests.support.profiles import SERVED, a_profile

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]  # one browser for all
LIKELY = {70: -0.2, 80: -1.2, 90: -3.0}


@pytest_asyncio.fixture(loop_scope="session")
async def url(parts: Parts, engine: ScriptedEngine, tmp_path: Path) -> AsyncIterator[str]:
    """A server with a profile for closed questions about what a gene does."""
    codes = {"yes": [70], "no": [80], "maybe": [90], "a": [97], "7": [55]}
    engine.tokens = lambda request: codes.get(str(request.prompt), [1, 2, 3])
    engine.scores = lambda request: [Scored(token, LIKELY.get(token), ()) for token in request.prompt]  # type: ignore[union-attr,arg-type]
    profile = a_profile(tmp_path / "lab.json", SERVED.model_copy(update={"wording_sha256": template_digest()}))
    async with listening(create_app(replace(parts, profiles=read([profile])), [])) as found:
        yield found


async def _confidence(console: Console, about: str) -> Locator:
    """What the page says of an answer's confidence."""
    page = await console.opened()
    await page.get_by_label("Question", exact=True).fill("Is CFTR a channel?")
    await page.get_by_label("Answer from these texts alone").uncheck()
    await page.get_by_text(about, exact=True).click()
    await page.get_by_label("Form of the answer").select_option("yes_no_maybe")
    await page.get_by_role("button", name="Ask", exact=True).click()
    await expect(page.locator("#ask .answer")).to_have_text("yes")
    return page.locator("#ask-results article").filter(has=page.get_by_role("heading", name="Confidence"))


async def test_what_the_profile_measured_is_told_beside_the_figure(console: Console) -> None:
    confidence = await _confidence(console, "Gene function")
    await expect(confidence.get_by_text("calibrated", exact=True)).to_be_visible()
    await expect(confidence).to_contain_text("a perfectly calibrated model would show")
    await expect(confidence).not_to_contain_text("Not calibrated")
    await confidence.page.get_by_text("How it was calibrated").click()
    await expect(confidence.get_by_text("lab.json", exact=True)).to_be_visible()


async def test_a_profile_for_other_questions_is_named_and_not_used(console: Console) -> None:
    confidence = await _confidence(console, "Drug targets")
    await expect(confidence.get_by_text("not calibrated", exact=True)).to_be_visible()
    await expect(confidence).to_contain_text("The profile lab.json is for")
    await expect(confidence).to_contain_text("chance of being right")
