"""Pages below the top and players, each with an address of its own."""

from __future__ import annotations

import pytest
from playwright.async_api import expect

from infra.local.cluster import LocalCluster
from tests.factories import users_of_shard
from tests.web.board import Board, submit_players
from tests.web.browser import Watch
from tests.web.conftest import OpenPage
from tests.web.site import Site


def names(first: int, last: int) -> list[str]:
    return [f"Player {user_id:03}" for user_id in range(first, last + 1)]


async def test_pages_below_the_top_and_back(open_page: OpenPage, site: Site) -> None:
    await submit_players(site, 25)
    page = await open_page("/")
    board = Board(page)
    await board.shows(*names(1, 10))
    await expect(page.get_by_text("25 players")).to_be_visible()

    await page.get_by_role("link", name="Below the top 10").click()
    await expect(board.heading).to_have_text("Ranks 11 to 20")
    await expect(board.heading).to_be_focused()
    await board.shows(*names(11, 20))
    second_page = page.url

    await page.get_by_role("link", name="Next").click()
    await expect(board.heading).to_have_text("Ranks 21 to 25")
    await board.shows(*names(21, 25))
    await expect(page.get_by_role("link", name="Next")).to_have_count(0)

    await page.get_by_role("link", name="Previous").click()
    await expect(board.heading).to_have_text("Ranks 11 to 20")
    await page.go_back()
    await expect(board.heading).to_have_text("Ranks 21 to 25")
    await page.go_back()
    await page.go_back()
    await expect(board.heading).to_have_text("Leaderboard")
    await page.go_forward()
    await board.shows(*names(11, 20))

    # Who is sent the link sees the same.
    other = Board(await open_page(second_page))
    await other.shows(*names(11, 20))
    await expect(other.page).to_have_title("Ranks 11 to 20 · Shardboard")
    await other.page.get_by_role("link", name="To the top").click()
    await other.shows(*names(1, 10))


async def test_more_rows_are_kept_in_the_address(open_page: OpenPage, site: Site) -> None:
    await submit_players(site, 60)
    page = await open_page("/")
    board = Board(page)
    await board.is_live()
    await page.get_by_role("link", name="Show 25 rows").click()
    await board.shows(*names(1, 25))
    await expect(page.locator(".mark")).to_have_count(0)
    assert page.url.endswith("/?show=25")
    await page.get_by_role("link", name="Below the top 25").click()
    await board.shows(*names(26, 50))
    await page.reload()
    await board.shows(*names(26, 50))
    await site.submit(60, "Player 060", 1_000_000)
    await page.get_by_role("link", name="To the top").click()
    await board.shows("Player 060", *names(1, 24))


async def test_a_cursor_that_is_none_says_what_it_is(open_page: OpenPage, site: Site) -> None:
    page = await open_page("/?after=bogus")
    await expect(page.get_by_role("alert")).to_contain_text("after is not a cursor of board 'global'")


async def test_a_player_is_found_by_id(open_page: OpenPage, site: Site) -> None:
    await submit_players(site, 25)
    for score in range(1, 25):
        await site.submit(7, "Player 007", score, gameMode="duel", durationSeconds=90)
    page = await open_page("/")
    board = Board(page)
    field = page.get_by_label("Find a player by id")

    await field.fill("seven")
    await field.press("Enter")
    await expect(page.get_by_text("A player id is a whole number, such as 42.")).to_be_visible()
    await expect(field).to_be_focused()

    await field.fill(" 7 ")
    await field.press("Enter")
    await expect(board.heading).to_have_text("Player 007")
    await expect(board.heading).to_be_focused()
    assert page.url == f"{site.url}/?player=7"
    facts = page.locator(".facts")
    for fact in ("Rank\n4", "Total\n2,200", "Percentile\n88%", "Games\n25"):
        assert fact in await facts.inner_text()
    await expect(page.get_by_text("Player 7, first seen")).to_be_visible()

    around = page.get_by_role("region", name="Neighbours")
    # Players 4 and 7 share a total and a rank; the smaller id comes first.
    await expect(around.locator(".row .name")).to_have_text([*names(1, 4), *names(7, 7), *names(5, 6), *names(8, 9)])
    await expect(around.locator(".row .rank")).to_have_text(
        ["1", "2", "3", "4=, shared", "4=, shared", "6", "7", "8", "9"]
    )
    await expect(around.locator(".row[aria-current=true] .name")).to_have_text("Player 007")

    await expect(page.get_by_role("img", name="25 games, since")).to_be_visible()
    await expect(page.locator("figcaption")).to_contain_text("took the total from 0 to 2,200.")

    games = page.get_by_role("region", name="Games")
    await expect(games.locator("td.cell-score")).to_have_text([f"+{score}" for score in range(24, 14, -1)])
    await expect(games.locator("tbody tr").first).to_contain_text("duel")
    await games.get_by_role("button", name="Show older games").click()
    await expect(games.locator("td.cell-score")).to_have_count(20)
    await games.get_by_role("button", name="Show older games").click()
    await expect(games.locator("td.cell-score")).to_have_count(25)
    await expect(games.get_by_role("button", name="Show older games")).to_have_count(0)

    await page.go_back()
    await expect(board.heading).to_have_text("Leaderboard")
    await page.go_forward()
    await expect(board.heading).to_have_text("Player 007")


async def test_a_player_who_plays_on_is_followed(open_page: OpenPage, site: Site) -> None:
    await submit_players(site, 3)
    page = await open_page("/?player=3")
    board = Board(page)
    await board.shows("Player 001", "Player 002", "Player 003")
    await expect(page.locator(".games td.cell-score")).to_have_text(["+100"])
    await site.submit(3, "Player 003", 900)
    await expect(page.locator(".row .name")).to_have_text(["Player 003", "Player 001", "Player 002"], timeout=20_000)
    await expect(page.locator(".games td.cell-score")).to_have_text(["+900", "+100"])


@pytest.mark.parametrize("user_id", [99, -(2**63)])
async def test_a_player_who_is_not_there(open_page: OpenPage, site: Site, user_id: int) -> None:
    page = await open_page(f"/?player={user_id}")
    await expect(page.get_by_text(f"Player {user_id} is not on this board.")).to_be_visible()


async def test_what_is_known_of_a_player_stays_when_the_service_goes(
    open_page: OpenPage, site: Site, watch: Watch
) -> None:
    watch.expect("ERR_CONNECTION")
    watch.expect("ERR_SOCKET_NOT_CONNECTED")
    await submit_players(site, 3)
    page = await open_page("/?player=2")
    await expect(page.locator(".facts")).to_contain_text("200")
    await site.kill()
    await expect(page.get_by_text("The service does not answer; this is what was known last.")).to_be_visible(
        timeout=20_000
    )
    await expect(page.locator(".facts")).to_contain_text("200")
    await site.start()
    await expect(page.get_by_text("The service does not answer")).to_have_count(0, timeout=20_000)


async def test_a_shard_that_is_away_takes_the_games_and_leaves_the_standing(
    open_page: OpenPage, site: Site, clean: LocalCluster
) -> None:
    [away] = users_of_shard(1, 1)
    await site.submit(away, "Ada", 1200)
    bouncer = clean.child("pgbouncer", 1)
    await bouncer.stop()
    try:
        page = await open_page(f"/?player={away}")
        await expect(Board(page).heading).to_have_text("Ada")
        await expect(page.locator(".facts")).to_contain_text("1,200")
        await expect(page.get_by_text("The games that it would be drawn from cannot be read now.")).to_be_visible()
        await expect(page.get_by_role("alert")).to_contain_text("These games could not be loaded.")
        await expect(page.get_by_text("this is what was known last")).to_have_count(0)
    finally:
        await bouncer.start()
    await expect(page.locator("figcaption")).to_contain_text("One game", timeout=25_000)
    await expect(page.locator(".games td.cell-score")).to_have_text(["+1,200"], timeout=25_000)
    await expect(page.get_by_role("alert")).to_have_count(0)
