"""The built board, the service that serves it, and a browser that opens it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, Page, async_playwright

from infra.local.cluster import LocalCluster
from tests.web.browser import CHROMIUM, FLAGS, Watch
from tests.web.site import Site

ROOT = Path(__file__).parents[2]

MakeSite = Callable[..., Awaitable[Site]]
OpenPage = Callable[..., Awaitable[Page]]


@pytest.fixture(scope="session")
def built_web() -> Path:
    """web/dist, built as `make web` builds it."""
    subprocess.run([sys.executable, ROOT / "scripts" / "web.py", "build"], check=True)
    return ROOT / "web" / "dist"


@pytest.fixture
async def make_site(clean: LocalCluster, built_web: Path) -> AsyncIterator[MakeSite]:
    """Starts the service on a cluster without data: `site = await make_site(processes=2, SHARDBOARD_…="…")`."""
    sites: list[Site] = []

    async def make(processes: int = 1, **variables: str) -> Site:
        sites.append(Site(clean, processes, **variables))
        await sites[-1].start()
        return sites[-1]

    yield make
    for site in sites:
        await site.http.aclose()
        await site.stop()


@pytest.fixture
async def site(make_site: MakeSite) -> Site:
    """The service in one process, as `make up` sets it up, on a cluster without data."""
    return await make_site()


@pytest.fixture(scope="session")
async def browser() -> AsyncIterator[Browser]:
    """One Chromium for all tests; each gets a profile of its own in it."""
    assert CHROMIUM is not None, "Chromium is not installed: apt-get install chromium, or name one with CHROMIUM=…"
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS))
        yield browser
        await browser.close()


@pytest.fixture
async def watch(site: Site) -> AsyncIterator[Watch]:
    """Fails the test for whatever went wrong in its pages and was not expected."""
    watch = Watch(site.url)
    yield watch
    assert watch.problems == []


@pytest.fixture
async def open_page(browser: Browser, site: Site, watch: Watch) -> AsyncIterator[OpenPage]:
    """Opens pages, each in a profile of its own: `await open_page("/", viewport=…, color_scheme="dark")`.

    `first` is JavaScript that runs before that of the page. A path of None leaves the page blank.
    """
    contexts = []

    async def open_(path: str | None = "/", first: str = "", **options: Any) -> Page:
        context = await browser.new_context(base_url=site.url, **options)
        contexts.append(context)
        await watch.add(context)
        await context.add_init_script(first)
        page = await context.new_page()
        if path is not None:
            await page.goto(path)
        return page

    yield open_
    for context in contexts:
        await context.close()
