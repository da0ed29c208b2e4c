"""The board by keyboard, by screen reader, on small screens, in dark, and with names of all kinds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page, expect

from tests.web.board import Board, submit_players
from tests.web.conftest import ROOT, OpenPage
from tests.web.site import Site

AXE = ROOT / "web" / "node_modules" / "axe-core" / "axe.min.js"

PHONE = {"width": 390, "height": 844}
SMALLEST = {"width": 320, "height": 640}
DESKTOP = {"width": 1280, "height": 900}

_FIND_VIOLATIONS = """
async () => (await axe.run()).violations.map(found => `${found.id}: ${found.nodes.map(node => node.html).join(", ")}`)
"""

# What lies outside the window or outside of the box that should hold it, cut or not.
_FIND_OVERFLOWS = """
() => {
    const outside = [...document.querySelectorAll("body *:not(.hidden, .hidden *, .skip)")].filter(element => {
        const box = element.getBoundingClientRect();
        return box.width > 0 && (box.right > document.documentElement.clientWidth + 1 || box.left < -1);
    });
    const cells = [...document.querySelectorAll("td, th, dd")].filter(cell => cell.scrollWidth > cell.clientWidth + 1);
    return [...outside, ...cells].map(element => element.outerHTML);
}
"""

ODD_NAMES = {
    101: "W" * 100,
    102: "محمد بن عبد العزيز الأسطوري الذي لا يقهر في كل البطولات العالمية والمحلية يا أصدقاء"[:100],
    103: "👨\u200d👩\u200d👧\u200d👦🏳️\u200d🌈🎮 family",
    104: "\u202eturned around",
    105: "a" + "\u0301" * 99,
    106: "<b>bold</b> & 'quoted'",
}


async def violations(page: Page, script: Path = AXE) -> Any:
    await page.evaluate(script.read_text())
    return await page.evaluate(_FIND_VIOLATIONS)


async def submit_odd(site: Site) -> None:
    for user_id, name in ODD_NAMES.items():
        await site.submit(user_id, name, 9_007_199_254_740_000 - user_id, gameMode="m" * 50)
    await site.submit(107, "Below", -9_007_199_254_740_991, gameMode="m" * 50, durationSeconds=2**31 - 1)


@pytest.mark.parametrize("color_scheme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [DESKTOP, PHONE], ids=["desktop", "phone"])
async def test_axe_finds_nothing(open_page: OpenPage, site: Site, color_scheme: str, viewport: dict[str, int]) -> None:
    await submit_players(site, 25)
    page = await open_page("/", color_scheme=color_scheme, viewport=viewport, reduced_motion="reduce")
    board = Board(page)
    await board.is_live()
    await site.submit(9, "Player 009", 5000)
    await expect(board.row(9).locator(".mark")).to_be_visible()
    assert await violations(page) == []

    await page.get_by_role("link", name="Below the top 10").click()
    await expect(board.heading).to_have_text("Ranks 11 to 20")
    assert await violations(page) == []

    await page.goto("/?player=9")
    await expect(page.get_by_role("img")).to_be_visible()
    await expect(page.locator("td.cell-score")).to_have_count(2)
    assert await violations(page) == []

    await page.goto("/?player=404")
    await page.get_by_label("Find a player by id").fill("x")
    await page.get_by_role("button", name="Find").click()
    await page.get_by_label("Player id", exact=True).fill("x")
    await page.get_by_label("Name", exact=True).fill("x")
    await page.get_by_label("Score", exact=True).fill("1")
    await page.get_by_role("button", name="Submit").click()
    await expect(page.get_by_label("Player id", exact=True)).to_have_attribute("aria-invalid", "true")
    assert await violations(page) == []


@pytest.mark.parametrize("direction", ["ltr", "rtl"])
async def test_nothing_overflows_at_320_px(open_page: OpenPage, site: Site, direction: str) -> None:
    await submit_odd(site)
    page = await open_page("/", viewport=SMALLEST)
    board = Board(page)
    await board.is_live()
    await page.evaluate("direction => { document.documentElement.dir = direction; }", direction)
    await board.shows(*ODD_NAMES.values(), "Below")
    assert await page.evaluate(_FIND_OVERFLOWS) == []

    for user_id in (*ODD_NAMES, 107):
        await page.goto(f"/?player={user_id}")
        await page.evaluate("direction => { document.documentElement.dir = direction; }", direction)
        await expect(page.locator("td.cell-score")).to_have_count(1)
        assert await page.evaluate(_FIND_OVERFLOWS) == []


async def test_numbers_and_times_are_the_readers(open_page: OpenPage, site: Site) -> None:
    await site.submit(1, "Ada", 1234567)
    for locale, total in (("de-DE", "1.234.567"), ("hi-IN", "12,34,567"), ("ar-EG", "١٬٢٣٤٬٥٦٧")):
        board = Board(await open_page("/", locale=locale))
        await expect(board.row(1).locator(".total")).to_have_text(total)


async def test_the_board_by_keyboard_alone(open_page: OpenPage, site: Site) -> None:
    await submit_players(site, 3)
    page = await open_page("/")
    board = Board(page)
    await board.is_live()

    await page.keyboard.press("Tab")
    await expect(page.get_by_role("link", name="Skip to the board")).to_be_focused()
    await expect(page.get_by_role("link", name="Skip to the board")).to_be_in_viewport()
    await page.keyboard.press("Enter")
    await page.keyboard.press("Tab")
    await expect(page.get_by_role("button", name="Pause")).to_be_focused()
    for _ in range(5):
        await page.keyboard.press("Tab")
    await expect(board.row(1).get_by_role("link")).to_be_focused()

    # The focus stays with the player, not with the place.
    await page.keyboard.press("Tab")
    await page.keyboard.press("Tab")
    await expect(board.row(3).get_by_role("link")).to_be_focused()
    await site.submit(3, "Player 003", 1000)
    await board.shows("Player 003", "Player 001", "Player 002")
    await expect(board.row(3).get_by_role("link")).to_be_focused()

    await page.keyboard.press("Enter")
    await expect(board.heading).to_have_text("Player 003")
    await expect(board.heading).to_be_focused()
    await page.keyboard.press("Shift+Tab")
    await expect(page.get_by_role("link", name="Leaderboard", exact=True)).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(board.heading).to_have_text("Leaderboard")


async def test_a_screen_reader_is_told_what_changed_without_a_flood(open_page: OpenPage, site: Site) -> None:
    await submit_players(site, 3)
    page = await open_page("/")
    board = Board(page)
    await board.is_live()
    await board.shows("Player 001", "Player 002", "Player 003")
    news = page.locator("[aria-live=polite]")
    await page.evaluate(
        """() => {
            window.told = [];
            const region = document.querySelector("[aria-live=polite]");
            const look = new MutationObserver(() => window.told.push(region.textContent));
            look.observe(region, { childList: true, characterData: true, subtree: true });
        }"""
    )
    for _ in range(5):
        await site.submit(3, "Player 003", 100)
    await expect(news).to_have_text("Player 003 now leads with 600.", timeout=20_000)
    assert await page.evaluate("window.told") == ["Player 003 now leads with 600."]
