"""The form that submits a score, for trying out."""

from __future__ import annotations

from typing import Any

from playwright.async_api import Page, Route, expect

from tests.web.board import Board
from tests.web.browser import Watch
from tests.web.conftest import MakeSite, OpenPage
from tests.web.site import Site


async def fill(page: Page, user_id: str, name: str, score: str) -> None:
    await page.get_by_label("Player id", exact=True).fill(user_id)
    await page.get_by_label("Name", exact=True).fill(name)
    await page.get_by_label("Score", exact=True).fill(score)


async def total_of(site: Site, user_id: int) -> Any:
    data = await site.query("query ($id: ID!) { rank(userId: $id) { totalScore gamesPlayed } }", id=str(user_id))
    return data["rank"]


async def test_a_submitted_score_shows_on_the_board(open_page: OpenPage, site: Site) -> None:
    await site.submit(1, "Ada", 100)
    page = await open_page("/")
    board = Board(page)
    await board.is_live()
    await fill(page, "2", "Grace", "150")
    await page.get_by_text("Mode and length").click()
    await page.get_by_label("Game mode").fill("duel")
    await page.get_by_label("Length in seconds").fill("90")
    await page.get_by_role("button", name="Submit").click()
    await expect(page.locator(".submit-outcome")).to_have_text("Grace has 150, rank 1.")
    await board.shows("Grace", "Ada")
    # The same content again is another game.
    await page.get_by_label("Score", exact=True).fill("150")
    await page.get_by_role("button", name="Submit").click()
    await expect(page.locator(".submit-outcome")).to_have_text("Grace has 300, rank 1.")
    assert await total_of(site, 2) == {"totalScore": 300, "gamesPlayed": 2}


async def test_the_services_own_words_stand_beside_the_field(open_page: OpenPage, site: Site) -> None:
    page = await open_page("/")
    await fill(page, "forty-two", "Ada", "10")
    await page.get_by_role("button", name="Submit").click()
    field = page.get_by_label("Player id", exact=True)
    await expect(field).to_have_accessible_description(
        "input.userId must be a signed 64-bit integer in decimal, such as \"42\"; got 'forty-two'."
    )
    await expect(field).to_be_focused()
    await expect(page.get_by_label("Score", exact=True)).to_have_value("10")
    await fill(page, "42", " ", "10")
    await page.get_by_role("button", name="Submit").click()
    await expect(page.get_by_label("Name", exact=True)).to_have_accessible_description(
        "input.username must have 1 to 100 characters and not be blank; got 0."
    )
    await fill(page, "42", "Ada", "9007199254740993")
    await page.get_by_role("button", name="Submit").click()
    await expect(page.get_by_label("Score", exact=True)).to_have_attribute("aria-invalid", "true")
    assert await total_of(site, 42) is None


async def test_a_retry_after_a_lost_answer_counts_once(open_page: OpenPage, site: Site, watch: Watch) -> None:
    watch.expect("ERR_FAILED")
    page = await open_page("/")
    await Board(page).is_live()

    async def lose_the_answer(route: Route) -> None:
        if "submitScore" in (route.request.post_data or ""):
            await route.fetch()
            await route.abort()
        else:
            await route.continue_()

    await page.route("**/graphql", lose_the_answer)
    await fill(page, "7", "Grace", "900")
    await page.get_by_role("button", name="Submit").click()
    await expect(page.get_by_text("Trying again is safe: the same submission counts once.")).to_be_visible()
    assert await total_of(site, 7) == {"totalScore": 900, "gamesPlayed": 1}

    await page.unroute("**/graphql")
    await page.get_by_role("button", name="Try again").click()
    await expect(page.locator(".submit-outcome")).to_have_text("Counted before: Grace has 900, rank 1.")
    assert await total_of(site, 7) == {"totalScore": 900, "gamesPlayed": 1}


async def test_a_real_deployment_offers_neither_form_nor_graphiql(
    open_page: OpenPage, make_site: MakeSite, site: Site, watch: Watch
) -> None:
    watch.expect("foreign host")
    other = await make_site(SHARDBOARD_TRY_OUT="false", SHARDBOARD_GRAPHIQL="false")
    page = await open_page(f"{other.url}/")
    await Board(page).is_live()
    await expect(page.get_by_text("Nobody is on the board yet.")).to_be_visible()
    await expect(page.get_by_role("form")).to_have_count(0)
    await expect(page.get_by_text("Submit a score")).to_have_count(0)
    await expect(page.get_by_text("GraphiQL")).to_have_count(0)
    assert (await other.http.get("/settings.json")).json() == {"submit": False, "graphiql": False}


async def test_the_form_shows_the_key_of_the_set_up(open_page: OpenPage, site: Site) -> None:
    page = await open_page("/")
    await fill(page, "2", "Grace", "150")
    async with page.expect_request(lambda request: "submitScore" in (request.post_data or "")) as submission:
        await page.get_by_role("button", name="Submit").click()
    assert await (await submission.value).header_value("authorization") == f"Bearer {site.key}"
    await expect(page.locator(".submit-outcome")).to_have_text("Grace has 150, rank 1.")


async def test_a_page_of_another_name_gets_neither_key_nor_form(site: Site) -> None:
    # A name of anybody's that leads here: what its page asks for has that name.
    answer = await site.http.get("/settings.json", headers={"host": f"rebound.example:{site.port}"})
    assert answer.json() == {"submit": False, "graphiql": True}
    assert site.key not in answer.text
