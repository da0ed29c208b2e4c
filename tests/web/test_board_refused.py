"""The board in a browser that the service does not let in: for how much it asks, or for want of a credential."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import httpx
import pytest
from playwright.async_api import Page, Route, WebSocket, expect
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from tests.waiting import until
from tests.web.board import Board
from tests.web.browser import Watch
from tests.web.conftest import MakeSite, OpenPage
from tests.web.site import Site
from tests.web.test_board_for_all import violations

LIMITED = "so the service takes a short break from it. This page goes on by itself at"
CLOSED = "This service shows its board only to those with a credential."
FULL = "The service has no room for another live connection right now"

# What a browser finds in a real deployment: no key.
READER = {"SHARDBOARD_TRY_OUT": "false"}
COMES_TO_THE_FRONT = "document.dispatchEvent(new Event('visibilitychange'))"


class Asked:
    """Counts what a page asks of the service: `http` and `sockets`."""

    def __init__(self, page: Page) -> None:
        self.counts: Counter[str] = Counter()
        page.on("request", lambda request: self.counts.update(["http"] if request.url.endswith("/graphql") else []))
        page.on("websocket", self._count_socket)

    def _count_socket(self, _: WebSocket) -> None:
        self.counts["sockets"] += 1


@pytest.fixture
def watch(site: Site) -> Watch:
    """Whatever goes wrong here is what the test is about."""
    return Watch(site.url)


@pytest.fixture
async def page(open_page: OpenPage) -> Page:
    """A blank page whose clock a test may move."""
    page = await open_page(None, reduced_motion="reduce")
    await page.clock.install()
    return page


async def use_up_reads(site: Site) -> int:
    """Read without a key until that is refused; when it is no longer, in seconds."""
    async with httpx.AsyncClient(base_url=site.url) as client:
        while True:
            answer = (await client.post("/graphql", json={"query": "{ leaderboard { totalCount } }"})).json()
            if "errors" in answer:
                extensions = answer["errors"][0]["extensions"]
                assert extensions["code"] == "RATE_LIMITED"
                return int(extensions["retryAfter"])


async def test_a_reader_who_asks_too_much_is_told_so_and_keeps_what_there_is(make_site: MakeSite, page: Page) -> None:
    site = await make_site(SHARDBOARD_ADDRESS_READS_PER_MINUTE="4", **READER)
    await site.submit(1, "Ada", 100)
    board = Board(page)
    await page.goto(site.url)
    await board.is_live()
    await board.shows("Ada")
    await use_up_reads(site)

    # The page comes to the front and reads, which the service refuses. What is watched is shown on.
    await page.evaluate(COMES_TO_THE_FRONT)
    await expect(page.get_by_text(LIMITED)).to_be_visible()
    await site.submit(2, "Grace", 200)
    await board.shows("Grace", "Ada")
    await expect(page.get_by_text("could not be loaded")).to_have_count(0)
    await expect(page.get_by_text("Submit a score")).to_have_count(0)
    assert await violations(page) == []

    # A place that was not read yet has nothing to show.
    await board.row(2).get_by_role("link").click()
    await expect(page.get_by_text("This player will show here then.")).to_be_visible()
    await expect(page.get_by_text(LIMITED)).to_be_visible()


async def refuse_for_40_s(route: Route) -> None:
    error: dict[str, Any] = {"message": "no", "extensions": {"code": "RATE_LIMITED", "retryAfter": 40}}
    await route.fulfill(
        status=429, content_type="application/graphql-response+json", body=json.dumps({"errors": [error]})
    )


async def test_a_subscription_that_is_refused_is_asked_for_again(make_site: MakeSite, page: Page) -> None:
    site = await make_site(SHARDBOARD_ADDRESS_READS_PER_MINUTE="1", **READER)
    wait_s = await use_up_reads(site)
    await page.goto(site.url)
    await expect(page.get_by_text(LIMITED)).to_be_visible()
    await expect(page.get_by_text("The board will show here then.")).to_be_visible()
    # It is another minute for the service as well, once it counts anew.
    await site.restart(SHARDBOARD_ADDRESS_READS_PER_MINUTE="60")
    await page.clock.run_for((wait_s + 5) * 1000)
    await Board(page).is_live()
    await expect(page.get_by_text("Nobody is on the board yet.")).to_be_visible()
    await expect(page.get_by_text(LIMITED)).to_have_count(0)


async def test_it_asks_again_when_it_was_told_to_and_not_before(make_site: MakeSite, page: Page) -> None:
    site = await make_site(**READER)
    await site.submit(1, "Ada", 100)
    await page.route("**/graphql", refuse_for_40_s)
    asked = Asked(page)
    await page.goto(site.url)
    await Board(page).is_live()
    await expect(page.get_by_text(LIMITED)).to_be_visible()
    assert asked.counts == {"http": 1, "sockets": 1}

    # Nor when it comes to the front again.
    await page.clock.run_for(20_000)
    await page.evaluate(COMES_TO_THE_FRONT)
    await page.clock.run_for(18_000)
    assert asked.counts == {"http": 1, "sockets": 1}

    await page.unroute("**/graphql")
    await page.clock.run_for(5_000)
    await expect(page.get_by_text("1 player", exact=True)).to_be_visible()
    await expect(page.get_by_text(LIMITED)).to_have_count(0)
    assert asked.counts["http"] == 2


async def test_a_board_that_is_not_open_says_so_and_asks_seldom(make_site: MakeSite, page: Page) -> None:
    site = await make_site(SHARDBOARD_READS_OPEN="false", **READER)
    await site.submit(1, "Ada", 100)
    asked = Asked(page)
    await page.goto(site.url)
    await expect(page.get_by_text(CLOSED)).to_be_visible()
    await until(lambda: asked.counts["sockets"] == 1)
    await page.clock.run_for(55_000)
    assert asked.counts == {"http": 1, "sockets": 1}
    await expect(page.locator(".row")).to_have_count(0)
    await expect(page.get_by_text("could not be loaded")).to_have_count(0)
    assert "Ada" not in await page.content()
    assert await violations(page) == []

    await page.clock.run_for(10_000)
    await until(lambda: asked.counts["sockets"] == 2)
    await expect(page.get_by_text(CLOSED)).to_be_visible()


async def test_a_board_that_is_not_open_is_shown_in_the_local_set_up(make_site: MakeSite, page: Page) -> None:
    site = await make_site(SHARDBOARD_READS_OPEN="false")
    await site.submit(1, "Ada", 100)
    await page.goto(site.url)
    board = Board(page)
    await board.is_live()
    await board.shows("Ada")
    await expect(page.get_by_text("1 player", exact=True)).to_be_visible()


async def test_a_key_that_is_no_longer_good_leaves_no_socket_trying(site: Site, page: Page) -> None:
    stale = {"submit": True, "graphiql": False, "key": "sb_stale_key_of_another_set_up"}
    await page.route("**/settings.json", lambda route: route.fulfill(json=stale))
    asked = Asked(page)
    await page.goto(site.url)
    await expect(page.get_by_text(CLOSED)).to_be_visible()
    await until(lambda: asked.counts["sockets"] == 1)
    await page.clock.run_for(55_000)
    assert asked.counts == {"http": 1, "sockets": 1}


async def test_without_room_for_its_socket_it_reads_by_http(make_site: MakeSite, page: Page) -> None:
    site = await make_site(SHARDBOARD_CONNECTIONS_MAX="1")
    await site.submit(1, "Ada", 100)
    board = Board(page)
    asked = Asked(page)
    address = f"{site.url.replace('http', 'ws')}/graphql"
    async with connect(address, subprotocols=[Subprotocol("graphql-transport-ws")]) as socket:
        await socket.send('{"type": "connection_init"}')
        await socket.recv()
        await page.goto(site.url)
        await expect(page.get_by_text(FULL)).to_be_visible()
        await board.shows("Ada")
        await page.clock.run_for(25_000)
        assert asked.counts["sockets"] == 1
    await page.clock.run_for(10_000)
    await board.is_live()
    await expect(page.get_by_text(FULL)).to_have_count(0)
