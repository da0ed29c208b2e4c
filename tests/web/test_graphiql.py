"""GraphiQL in a real browser that reaches nothing but the service."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from playwright.async_api import expect

from tests.waiting import until
from tests.web.browser import Watch
from tests.web.conftest import MakeSite, OpenPage
from tests.web.graphiql import VIEWPORT, GraphiQL
from tests.web.site import Site

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


@pytest.fixture
async def graphiql(open_page: OpenPage) -> GraphiQL:
    page = await open_page("/graphql", viewport=VIEWPORT)
    await expect(page).to_have_title("Shardboard: GraphiQL")
    return GraphiQL(page)


def shows(field: str) -> Callable[[Any], bool]:
    return lambda data: field in data


async def test_a_query(graphiql: GraphiQL, site: Site) -> None:
    await site.submit(7, "Grace", 900)
    await graphiql.open_example("ranks")
    await graphiql.run()
    grace = {"userId": "7", "username": "Grace", "rank": 1, "totalScore": 900}
    assert await graphiql.answer(lambda data: data) == {"ranks": [None, grace, None]}


async def test_a_mutation_counts_once_however_often_it_is_run(graphiql: GraphiQL, site: Site) -> None:
    await graphiql.open_example("submitScore")
    standing = {"rank": 1, "totalScore": 1200, "gamesPlayed": 1, "percentile": 100}
    await graphiql.run()
    first = await graphiql.answer(lambda data: data)
    assert first["submitScore"].items() >= {"duplicate": False, "standing": standing}.items()
    await graphiql.run()
    again = await graphiql.answer(lambda data: data["submitScore"]["duplicate"])
    assert again == {"submitScore": first["submitScore"] | {"duplicate": True}}

    # Opened again, it is another session.
    await graphiql.open_example("submitScore")
    await graphiql.run()
    other = await graphiql.answer(lambda data: data["submitScore"]["standing"]["totalScore"] == 2400)
    assert other["submitScore"]["duplicate"] is False
    assert (await site.query('{ rank(userId: "42") { gamesPlayed } }')) == {"rank": {"gamesPlayed": 2}}


async def test_a_subscription_shows_a_live_change(graphiql: GraphiQL, site: Site) -> None:
    await site.submit(7, "Grace", 900)
    await graphiql.open_example("topChanged")
    await graphiql.run()
    grace = {"rank": 1, "userId": "7", "username": "Grace", "totalScore": 900}
    first = await graphiql.answer(lambda data: data["topChanged"]["entries"] == [grace])
    await site.submit(42, "Ada", 1200)
    ada = {"rank": 1, "userId": "42", "username": "Ada", "totalScore": 1200}
    then = await graphiql.answer(lambda data: data["topChanged"]["entries"] == [ada, grace | {"rank": 2}])
    assert then["topChanged"]["sequence"] > first["topChanged"]["sequence"]
    await graphiql.page.get_by_role("button", name="Stop query").click()
    await expect(graphiql.page.get_by_role("button", name="Execute query")).to_be_visible()


async def test_every_example_runs(graphiql: GraphiQL, site: Site) -> None:
    examples = graphiql.page.get_by_role("region", name="Examples").get_by_role("listitem").locator("code")
    fields = await examples.all_inner_texts()
    assert fields == ["leaderboard", "submitScore", "submitScores", "topChanged", "rank", "ranks", "around", "history"]
    # Submissions first, so that the others have something to show.
    for field in [*fields[1:], fields[0]]:
        await graphiql.open_example(field)
        await graphiql.run()
        data = await graphiql.answer(shows(field))
        assert data[field]
    assert data["leaderboard"]["totalCount"] == 2
    top = await site.query("{ leaderboard { nodes { username totalScore gamesPlayed } } }")
    assert top["leaderboard"]["nodes"] == [
        {"username": "Ada", "totalScore": 1200, "gamesPlayed": 1},
        {"username": "Grace", "totalScore": 900, "gamesPlayed": 1},
    ]


async def test_what_is_typed_into_headers_wins_over_the_key(graphiql: GraphiQL, site: Site, watch: Watch) -> None:
    watch.expect("401 (Unauthorized)")
    await graphiql.open_example("submitScore")
    await graphiql.type_headers('{"Authorization": "Bearer of_nobody_at_all"}')
    await graphiql.run()

    async def is_refused() -> bool:
        return "UNAUTHENTICATED" in await graphiql.shown()

    await until(is_refused)
    assert await site.query('{ rank(userId: "42") { gamesPlayed } }') == {"rank": None}


async def test_queries_and_subscriptions_are_sent_with_the_key(
    make_site: MakeSite, open_page: OpenPage, watch: Watch
) -> None:
    watch.expect("foreign host")
    closed = await make_site(SHARDBOARD_READS_OPEN="false")
    await closed.submit(7, "Grace", 900)
    page = await open_page(f"{closed.url}/graphql", viewport=VIEWPORT)
    graphiql = GraphiQL(page)
    await expect(page.get_by_role("region", name="Examples")).to_contain_text("sent with the server key of this set-up")
    for field in ("leaderboard", "topChanged"):
        await graphiql.open_example(field)
        await graphiql.run()
        assert "Grace" in str(await graphiql.answer(shows(field)))
    assert closed.key not in await page.content()
    assert closed.key not in await page.evaluate("JSON.stringify({ ...localStorage, ...sessionStorage })")


async def test_without_a_key_it_says_where_one_goes(make_site: MakeSite, open_page: OpenPage, watch: Watch) -> None:
    watch.expect("foreign host")
    real = await make_site(SHARDBOARD_TRY_OUT="false")
    page = await open_page(f"{real.url}/graphql", viewport=VIEWPORT)
    examples = page.get_by_role("region", name="Examples")
    await expect(examples).to_contain_text("To submit, write a server key or a player’s token into Headers")
    graphiql = GraphiQL(page)
    await graphiql.open_example("submitScore")
    await graphiql.type_headers(f'{{"authorization": "Bearer {real.key}"}}')
    await graphiql.run()
    assert (await graphiql.answer(shows("submitScore")))["submitScore"]["standing"]["totalScore"] == 1200


async def test_the_explorer_writes_the_query_and_the_history_keeps_it(graphiql: GraphiQL) -> None:
    page = graphiql.page
    await graphiql.open_example("history")
    await graphiql.run()
    assert (await graphiql.answer(lambda data: data))["history"]["totalCount"] == 0

    await page.get_by_role("button", name="Show GraphiQL Explorer").click()
    explorer = page.locator(".graphiql-plugin")
    await expect(explorer).to_contain_text("gameMode")
    await expect(graphiql.query).to_contain_text("playedAt")
    await explorer.get_by_text("playedAt", exact=True).click()
    await expect(graphiql.query).not_to_contain_text("playedAt")

    await page.get_by_role("button", name="Show History").click()
    await expect(page.get_by_role("region", name="History").get_by_role("listitem")).to_contain_text("History")


@pytest.mark.parametrize(("scheme", "is_dark"), [("dark", True), ("light", False)])
async def test_the_colours_follow_the_system(open_page: OpenPage, scheme: str, is_dark: bool) -> None:
    page = await open_page("/graphql", color_scheme=scheme)
    await expect(page.get_by_role("region", name="Examples")).to_be_visible()
    shade = "element => Math.max(...getComputedStyle(element).backgroundColor.match(/\\d+/g).slice(0, 3).map(Number))"
    assert (await page.locator(".graphiql-container").evaluate(shade) < 128) is is_dark


async def test_the_page_is_for_browsers_alone(site: Site) -> None:
    page = await site.http.get("/graphql", headers={"accept": BROWSER})
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert "connect-src 'self'" in page.headers["content-security-policy"]
    for accept in ("*/*", "application/json", "application/graphql-response+json", ""):
        answer = await site.http.get(
            "/graphql",
            params={"query": "{ leaderboard { totalCount } }"},
            headers={"accept": accept, "graphql-require-preflight": "1"},
        )
        assert answer.status_code == 200
        assert answer.headers["content-type"].partition(";")[0] in (
            "application/json",
            "application/graphql-response+json",
        )
        assert answer.json() == {"data": {"leaderboard": {"totalCount": 0}}}


async def test_it_can_be_switched_off(make_site: MakeSite) -> None:
    site = await make_site(SHARDBOARD_GRAPHIQL="false")
    answer = await site.http.get("/graphql", headers={"accept": BROWSER})
    assert answer.headers["content-type"].partition(";")[0] == "application/json"
    assert "<html" not in answer.text
    assert (await site.http.get("/settings.json")).json() == {"submit": True, "graphiql": False, "key": site.key}
