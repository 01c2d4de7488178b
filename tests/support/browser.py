"""A real browser without a window: Chromium, as the machine has it."""

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Literal

from playwright.async_api import Browser, Page, async_playwright, expect

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
MISSING = "no Chromium here: apt-get install chromium fonts-inter, or name one in the environment variable CHROMIUM"
_LIMIT = 60_000  # milliseconds: of everything that is awaited; busy machines take their time
expect.set_options(timeout=_LIMIT)


def chromium() -> str | None:
    """Where the browser is; None when there is none."""
    return os.environ.get("CHROMIUM") or next((path for name in _NAMES if (path := shutil.which(name))), None)


@asynccontextmanager
async def a_browser() -> AsyncIterator[Browser]:
    """Raises FileNotFoundError where there is none."""
    path = chromium()
    if path is None:
        raise FileNotFoundError(MISSING)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, timeout=_LIMIT)
        try:
            yield browser
        finally:
            await browser.close()


@asynccontextmanager
async def a_page(
    browser: Browser, url: str, scheme: Literal["light", "dark"] = "light", *, width: int = 1280, height: int = 900
) -> AsyncIterator[Page]:
    """A page of its own profile, that knows `url` as its server."""
    context = await browser.new_context(
        base_url=url, color_scheme=scheme, viewport={"width": width, "height": height}, reduced_motion="reduce"
    )
    context.set_default_timeout(_LIMIT)
    try:
        yield await context.new_page()
    finally:
        await context.close()
