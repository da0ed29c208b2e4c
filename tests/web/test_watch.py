"""That the tests of pages would notice: what a page does wrong is seen, and nothing but the service is reached."""

from __future__ import annotations

import pytest
from playwright.async_api import Error

from tests.waiting import until
from tests.web.browser import Watch
from tests.web.conftest import OpenPage


async def test_what_goes_wrong_in_a_page_is_seen(open_page: OpenPage, watch: Watch) -> None:
    page = await open_page("/")
    await page.evaluate("console.error('said by the page')")
    await page.evaluate("setTimeout(() => { throw new Error('thrown by the page') })")
    await page.evaluate("fetch('http://elsewhere.example/').catch(() => null)")
    await page.evaluate("document.body.append(Object.assign(document.createElement('script'), { text: '1' }))")

    def has(part: str) -> bool:
        return any(part in problem for problem in watch.problems)

    parts = ("said by the page", "thrown by the page", "policy violated: connect-src", "policy violated: script-src")
    await until(lambda: all(has(part) for part in parts))
    for part in (*parts, "elsewhere.example", "inline script"):
        watch.expect(part)
    assert watch.problems == []


async def test_no_other_host_is_reached(open_page: OpenPage, watch: Watch) -> None:
    watch.expect("favicon.ico")  # which browsers ask for beside what is no page
    page = await open_page("/settings.json")
    with pytest.raises(Error, match="ERR_NAME_NOT_RESOLVED"):
        await page.goto("http://elsewhere.example/")
    assert "foreign host: http://elsewhere.example/" in watch.problems
    watch.expect("elsewhere.example")
