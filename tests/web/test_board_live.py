"""The top of the board as it moves, in a real browser against the running service."""

from __future__ import annotations

from playwright.async_api import expect

from tests.web.board import RECORD_MOVES, Board
from tests.web.browser import Watch
from tests.web.conftest import OpenPage
from tests.web.site import Site

# Each socket is refused, as where a proxy lets none through.
NO_SOCKETS = """
window.WebSocket = class extends WebSocket {
    constructor(url, protocols) {
        super(`${url}/refused`, protocols);
    }
};
"""


async def submit_three(site: Site) -> None:
    await site.submit(1, "Ada", 1300)
    await site.submit(2, "Grace", 1200)
    await site.submit(3, "Linus", 1100)


async def test_a_score_submitted_elsewhere_moves_the_row_and_marks_it(open_page: OpenPage, site: Site) -> None:
    await submit_three(site)
    page = await open_page("/", first=RECORD_MOVES)
    board = Board(page)
    await board.is_live()
    assert await board.rows() == ["1 | Ada | 1,300", "2 | Grace | 1,200", "3 | Linus | 1,100"]
    await expect(page.locator(".row-changed")).to_have_count(0)

    await site.submit(3, "Linus", 250)

    await board.shows("Linus", "Ada", "Grace")
    assert await board.rows() == ["1 | Linus | 1,350", "2 | Ada | 1,300", "3 | Grace | 1,200"]
    await expect(page.locator(".row-changed")).to_have_count(1)
    await expect(board.row(3).locator(".mark")).to_have_text("▲2+250")
    moves = await page.evaluate("window.moves")
    assert {move["player"]: move["from"].startswith("translateY(-") for move in moves} == {
        "3": False,
        "1": True,
        "2": True,
    }
    await expect(page.locator(".row-changed")).to_have_count(0, timeout=10_000)
    await expect(page.locator(".mark")).to_have_count(0)


async def test_who_wants_no_motion_gets_none(open_page: OpenPage, site: Site) -> None:
    await submit_three(site)
    page = await open_page("/", first=RECORD_MOVES, reduced_motion="reduce")
    board = Board(page)
    await board.is_live()
    await site.submit(3, "Linus", 250)
    await board.shows("Linus", "Ada", "Grace")
    await expect(board.row(3).locator(".mark")).to_have_text("▲2+250")
    assert await page.evaluate("window.moves") == []


async def test_the_light_tells_of_a_lost_service_and_the_page_recovers(
    open_page: OpenPage, site: Site, watch: Watch
) -> None:
    watch.expect("ERR_CONNECTION_REFUSED")
    watch.expect("ERR_CONNECTION_RESET")
    watch.expect("ERR_SOCKET_NOT_CONNECTED")
    await submit_three(site)
    board = Board(await open_page("/"))
    await board.is_live()
    await board.shows("Ada", "Grace", "Linus")

    await site.kill()

    await expect(board.light).to_have_text("Connection: Reconnecting…")
    await board.shows("Ada", "Grace", "Linus")
    await expect(board.light).to_contain_text("Stale since", timeout=15_000)
    await board.shows("Ada", "Grace", "Linus")

    await site.start()
    await site.submit(2, "Grace", 500)

    await expect(board.light).to_have_text("Connection: Live", timeout=20_000)
    await board.shows("Grace", "Ada", "Linus")
    await site.submit(3, "Linus", 1000)
    await board.shows("Linus", "Grace", "Ada")


async def test_the_way_back_is_short_once_the_browser_is_online(open_page: OpenPage, site: Site, watch: Watch) -> None:
    watch.expect("ERR_CONNECTION")
    watch.expect("ERR_SOCKET_NOT_CONNECTED")
    await submit_three(site)
    page = await open_page("/")
    board = Board(page)
    await board.is_live()
    await site.kill()
    await expect(board.light).to_contain_text("Stale since", timeout=15_000)
    await site.start()
    await page.evaluate("dispatchEvent(new Event('online'))")
    await expect(board.light).to_have_text("Connection: Live", timeout=2_000)


async def test_an_empty_board_says_so_and_fills_by_itself(open_page: OpenPage, site: Site) -> None:
    page = await open_page("/")
    board = Board(page)
    await board.is_live()
    await expect(page.get_by_text("Nobody is on the board yet.")).to_be_visible()
    await site.submit(1, "Ada", 5)
    await board.shows("Ada")
    await expect(page.get_by_text("1 player", exact=True)).to_be_visible(timeout=20_000)


async def test_pausing_holds_the_rows(open_page: OpenPage, site: Site) -> None:
    await submit_three(site)
    page = await open_page("/")
    board = Board(page)
    await board.is_live()
    await page.get_by_role("button", name="Pause").click()
    await site.submit(3, "Linus", 250)
    await expect(page.get_by_text("newer standings are waiting")).to_be_visible()
    await board.shows("Ada", "Grace", "Linus")
    await page.get_by_role("button", name="Resume").click()
    await board.shows("Linus", "Ada", "Grace")
    await expect(board.row(3).locator(".mark")).to_have_text("▲2+250")


async def test_ties_share_a_rank_and_totals_may_be_negative(open_page: OpenPage, site: Site) -> None:
    await site.submit(1, "Ada", 10)
    await site.submit(2, "Grace", -1200)
    await site.submit(3, "Linus", -1200)
    board = Board(await open_page("/", locale="de-DE"))
    await board.shows("Ada", "Grace", "Linus")
    assert await board.rows() == [
        "1 | Ada | 10",
        "2=, shared | Grace | -1.200",
        "2=, shared | Linus | -1.200",
    ]


async def test_without_a_socket_the_board_is_read_by_http(open_page: OpenPage, site: Site, watch: Watch) -> None:
    watch.expect("WebSocket connection to")
    await submit_three(site)
    page = await open_page("/", first=NO_SOCKETS)
    board = Board(page)
    await board.shows("Ada", "Grace", "Linus")
    await expect(board.light).to_contain_text("Stale since", timeout=15_000)
    await site.submit(3, "Linus", 250)
    await expect(page.locator(".row .name")).to_have_text(["Linus", "Ada", "Grace"], timeout=20_000)


async def test_a_first_load_that_fails_says_so_and_can_be_tried_again(
    open_page: OpenPage, site: Site, watch: Watch
) -> None:
    watch.expect("ERR_FAILED")
    watch.expect("WebSocket connection to")
    await submit_three(site)
    page = await open_page("/", first=NO_SOCKETS)
    board = Board(page)
    await board.shows("Ada", "Grace", "Linus")
    # A page that is there already, of which nothing can be read: the service went after it had sent the files.
    await page.route("**/graphql", lambda route: route.abort())
    await page.reload()
    await expect(page.get_by_role("alert")).to_contain_text("The board could not be loaded.")
    await page.unroute("**/graphql")
    await page.get_by_role("button", name="Try again").click()
    await board.shows("Ada", "Grace", "Linus")
