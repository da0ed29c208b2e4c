"""The documentation of the REST API in a real browser that reaches nothing but the service."""

from __future__ import annotations

from playwright.async_api import Page, expect

from tests.web.conftest import OpenPage
from tests.web.site import Site

PHONE = {"width": 390, "height": 844}
SHOWN = {
    "scores-submitScore": '"new_total_score": 1200',
    "ranks-readLeaderboard": '"cached": false',
    "ranks-readRank": '"rank": 1',
    "ranks-readHistory": '"total_sessions": 1',
}
INK = "element => Math.max(...getComputedStyle(element).color.match(/\\d+/g).slice(0, 3).map(Number))"


async def open_all(page: Page) -> None:
    for operation in SHOWN:
        await page.locator(f"#operations-{operation} .opblock-summary-control").click()
        await expect(page.locator(f"#operations-{operation} .try-out__btn")).to_be_visible()


async def test_each_operation_is_tried_out_with_the_key_of_the_set_up(open_page: OpenPage, site: Site) -> None:
    page = await open_page("/docs", color_scheme="light")
    await expect(page).to_have_title("Shardboard: REST API")
    await open_all(page)
    assert await page.locator(".swagger-ui .info p").first.evaluate(INK) < 128
    for operation, shown in SHOWN.items():
        block = page.locator(f"#operations-{operation}")
        await block.locator(".try-out__btn").click()
        await block.locator("button.execute").click()
        await expect(block.locator(".live-responses-table")).to_contain_text(shown)
    assert await site.query('{ rank(userId: "42") { totalScore } }') == {"rank": {"totalScore": 1200}}


async def test_it_fits_a_phone_in_the_dark(open_page: OpenPage) -> None:
    page = await open_page("/docs", viewport=PHONE, color_scheme="dark")
    await open_all(page)
    assert await page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
    assert await page.locator(".swagger-ui .info p").first.evaluate(INK) > 128
