"""The console in a real browser, in front of a real server whose engine says what a test tells it to."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
import pytest_asyncio
from playwright.async_api import Browser, ConsoleMessage, Page, Request

from forge_inference.web.app import Parts, create_app
from tests.inference.web.console.scripts import script
from tests.support.browser import MISSING, a_browser, a_page, chromium
from tests.support.engines import ScriptedEngine
from tests.support.listening import listening


@dataclass
class Console:
    """A page, and what the browser complained about: broken promises of the policy, errors of scripts."""

    page: Page
    url: str
    complaints: list[str] = field(default_factory=list)

    def listen(self) -> None:
        def said(message: ConsoleMessage) -> None:
            if message.type in ("error", "warning"):
                self.complaints.append(message.text)

        self.page.on("console", said)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", self._asked)

    def _asked(self, request: Request) -> None:
        if not request.url.startswith((self.url, "data:", "blob:")):
            self.complaints.append(f"asked {request.url}")

    async def opened(self, tab: str = "") -> Page:
        """The page once it knows what is served; with a tab open that the address names."""
        await self.page.goto(f"/console#{tab}" if tab else "/console")
        await self.page.wait_for_selector("#served .dot")
        return self.page


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    if chromium() is None:
        pytest.skip(MISSING)
    async with a_browser() as found:
        yield found


@pytest_asyncio.fixture(loop_scope="session")
async def url(parts: Parts, engine: ScriptedEngine) -> AsyncIterator[str]:
    engine.script = script
    async with listening(create_app(parts, [])) as found:
        yield found


@pytest_asyncio.fixture(loop_scope="session")
async def console(browser: Browser, url: str) -> AsyncIterator[Console]:
    """Complaints fail the test at its end; a test that expects some takes them out."""
    async with a_page(browser, url) as page:
        found = Console(page, url)
        found.listen()
        yield found
        assert found.complaints == []
