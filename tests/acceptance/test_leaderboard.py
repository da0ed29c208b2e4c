from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.acceptance.client import STANDING, Api, without_ids
from tests.waiting import until

PAGE = """
    query ($first: Int!, $after: String) {
        leaderboard(first: $first, after: $after) {
            edges { cursor node { rank userId } }
            pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
            totalCount
        }
    }
"""
TOP = "{ leaderboard(first: 3) { cached totalCount nodes { rank userId totalScore } } }"


async def fill(api: Api, totals: dict[int, int]) -> None:
    """Give players these totals."""
    await api.submit_many(
        [{"userId": str(user), "username": f"player {user}", "score": total} for user, total in totals.items()]
    )


async def page(api: Api, first: int, after: str | None = None) -> dict[str, Any]:
    found: dict[str, Any] = (await api.ask(PAGE, {"first": first, "after": after}))["leaderboard"]
    return found


def ranked(found: dict[str, Any]) -> list[tuple[int, int]]:
    return [(edge["node"]["rank"], int(edge["node"]["userId"])) for edge in found["edges"]]


async def test_an_empty_board_is_an_empty_page(api: Api) -> None:
    assert await page(api, 10) == {
        "edges": [],
        "pageInfo": {"hasNextPage": False, "hasPreviousPage": False, "startCursor": None, "endCursor": None},
        "totalCount": 0,
    }


async def test_the_top_holds_whole_standings_and_says_when_it_was_true(api: Api) -> None:
    began = datetime.now(UTC)
    payload = await api.submit(userId="7", username="Ada", score=5)
    await api.submit(userId="8", username="Bea", score=-5)
    top = (await api.ask(f"{{ leaderboard {{ nodes {{ {STANDING} }} totalCount cached asOf }} }}"))["leaderboard"]
    assert top["nodes"][0] == payload["standing"]
    assert [(each["rank"], each["userId"], each["username"], each["percentile"]) for each in top["nodes"]] == [
        (1, "7", "Ada", 100.0),
        (2, "8", "Bea", 50.0),
    ]
    assert (top["totalCount"], top["cached"]) == (2, False)
    assert began - timedelta(seconds=1) < datetime.fromisoformat(top["asOf"]) < datetime.now(UTC) + timedelta(seconds=1)


async def test_equal_totals_share_a_rank_and_the_smaller_id_comes_first(api: Api) -> None:
    await fill(api, {5: 10, -3: 10, 12: 20, 4: 10, 100: 20, 9: 0, -7: -1, 8: 0})
    expected = [(1, 12), (1, 100), (3, -3), (3, 4), (3, 5), (6, 8), (6, 9), (8, -7)]
    assert ranked(await page(api, 100)) == expected
    for size in (1, 2, 3):
        walked: list[tuple[int, int]] = []
        after = None
        while True:
            found = await page(api, size, after)
            assert found["totalCount"] == 8
            assert found["pageInfo"]["hasPreviousPage"] is (after is not None)
            walked += ranked(found)
            after = found["pageInfo"]["endCursor"]
            assert after == found["edges"][-1]["cursor"]
            assert found["pageInfo"]["startCursor"] == found["edges"][0]["cursor"]
            if not found["pageInfo"]["hasNextPage"]:
                break
        assert walked == expected


async def test_a_page_after_the_last_entry_is_empty(api: Api) -> None:
    await fill(api, {1: 10})
    last = await page(api, 1)
    beyond = await page(api, 1, last["pageInfo"]["endCursor"])
    assert beyond == {
        "edges": [],
        "pageInfo": {"hasNextPage": False, "hasPreviousPage": True, "startCursor": None, "endCursor": None},
        "totalCount": 1,
    }


async def test_a_walk_neither_repeats_nor_skips_those_who_did_not_move(api: Api) -> None:
    await fill(api, {user: 1000 - user for user in range(1, 41)})
    walked: list[int] = []
    moved: list[int] = []
    after = None
    while True:
        found = await page(api, 5, after)
        walked += [user for _, user in ranked(found)]
        after = found["pageInfo"]["endCursor"]
        if not found["pageInfo"]["hasNextPage"]:
            break
        # The last of those still to come overtakes all, one seen already falls behind, and one new comes in on top.
        moved += [40 - len(moved), walked[0]]
        await fill(api, {moved[-2]: 5000, moved[-1]: -10_000, 1000 + len(moved): 9000})
    stayed = [user for user in range(1, 41) if user not in moved]
    assert [user for user in walked if user in stayed] == stayed
    assert len(stayed) > 30


async def test_pages_keep_their_place_when_the_entry_of_the_cursor_is_gone_from_it(api: Api) -> None:
    await fill(api, {1: 40, 2: 30, 3: 20, 4: 10})
    first = await page(api, 2)
    await api.submit(userId="2", username="player 2", score=-100)
    assert ranked(await page(api, 2, first["pageInfo"]["endCursor"])) == [(2, 3), (3, 4)]


async def test_an_answer_is_kept_until_the_board_changes(api: Api) -> None:
    await fill(api, {1: 10})
    expected = {"totalCount": 1, "nodes": [{"rank": 1, "userId": "1", "totalScore": 10}]}
    assert await api.send(TOP) == {"data": {"leaderboard": {"cached": False} | expected}}
    for _ in range(3):
        assert await api.send(TOP) == {"data": {"leaderboard": {"cached": True} | expected}}
    by_get = await api.http.get("/graphql", params={"query": TOP}, headers={"graphql-require-preflight": "1"})
    assert by_get.json()["data"]["leaderboard"] == {"cached": False} | expected
    by_get = await api.http.get("/graphql", params={"query": TOP}, headers={"graphql-require-preflight": "1"})
    assert by_get.json()["data"]["leaderboard"] == {"cached": True} | expected


async def test_who_reads_where_they_wrote_reads_what_they_wrote(api: Api) -> None:
    kept = 0
    for total in range(1, 51):
        await api.submit(userId="1", username="a", score=1)
        top = (await api.send(TOP))["data"]["leaderboard"]
        assert (top["cached"], top["nodes"][0]["totalScore"]) == (False, total)
        kept += (await api.send(TOP))["data"]["leaderboard"]["cached"]
    # Now and then another process tells of the change in between.
    assert kept > 40


async def test_a_change_reaches_the_other_process(api: Api, other_api: Api) -> None:
    await fill(api, {1: 10})

    async def other_shows(total: int) -> bool:
        nodes = (await other_api.send(TOP))["data"]["leaderboard"]["nodes"]
        return bool(nodes) and nodes[0]["totalScore"] == total

    await until(lambda: other_shows(10), seconds_max=2)
    await api.submit(userId="1", username="a", score=5)
    # Well within the 5 seconds after which it would notice by itself.
    await until(lambda: other_shows(15), seconds_max=2)


async def test_many_who_ask_at_once_get_one_answer(api: Api) -> None:
    await fill(api, {1: 10})
    answers = await asyncio.gather(*(api.send(TOP) for _ in range(50)))
    assert {answer["data"]["leaderboard"]["totalCount"] for answer in answers} == {1}


async def test_a_refused_answer_is_not_kept(api: Api) -> None:
    query = '{ leaderboard(after: "AAAA") { totalCount } }'
    answers = [await api.send(query) for _ in range(2)]
    # Each is the answer to its own request.
    assert len({answer["errors"][0]["extensions"]["id"] for answer in answers}) == 2
    assert without_ids(answers[0]) == without_ids(answers[1])
    assert answers[0]["errors"][0]["extensions"] == {"code": "BAD_USER_INPUT"}
