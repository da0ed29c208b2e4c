from __future__ import annotations

import pytest

from tests.acceptance.client import STANDING, Api

TOTALS = {5: 10, -3: 10, 12: 20, 4: 10, 100: 20, 9: 0, -7: -1, 8: 0}
EXPECTED = [(1, 12), (1, 100), (3, -3), (3, 4), (3, 5), (6, 8), (6, 9), (8, -7)]


@pytest.fixture
async def board(api: Api) -> Api:
    await api.submit_many([{"userId": str(u), "username": f"player {u}", "score": t} for u, t in TOTALS.items()])
    return api


async def test_the_rank_of_each_player_is_that_of_the_page(board: Api) -> None:
    nodes = (await board.ask(f"{{ leaderboard {{ nodes {{ {STANDING} }} }} }}"))["leaderboard"]["nodes"]
    for node in nodes:
        found = await board.ask(f"query ($u: ID!) {{ rank(userId: $u) {{ {STANDING} }} }}", {"u": node["userId"]})
        assert found["rank"] == node
    assert [(node["rank"], node["percentile"]) for node in nodes] == [
        (1, 100.0), (1, 100.0), (3, 75.0), (3, 75.0), (3, 75.0), (6, 37.5), (6, 37.5), (8, 12.5),
    ]  # fmt: skip


async def test_who_never_played_has_no_rank(board: Api) -> None:
    assert await board.ask('{ rank(userId: "6") { rank } }') == {"rank": None}


async def test_ranks_come_in_the_order_asked_for(board: Api) -> None:
    asked = ["-7", "6", "12", "12", "5"]
    found = await board.ask("query ($u: [ID!]!) { ranks(userIds: $u) { rank userId } }", {"u": asked})
    assert found["ranks"] == [
        {"rank": 8, "userId": "-7"},
        None,
        {"rank": 1, "userId": "12"},
        {"rank": 1, "userId": "12"},
        {"rank": 3, "userId": "5"},
    ]
    assert await board.ask("{ ranks(userIds: []) { rank } }") == {"ranks": []}


@pytest.mark.parametrize("radius", [0, 1, 2, 5, 50])
@pytest.mark.parametrize("place", range(len(EXPECTED)))
async def test_around_is_the_board_near_a_player(board: Api, place: int, radius: int) -> None:
    user_id = EXPECTED[place][1]
    found = await board.ask(
        "query ($u: ID!, $r: Int!) { around(userId: $u, radius: $r) { rank userId } }", {"u": user_id, "r": radius}
    )
    near = EXPECTED[max(0, place - radius) : place + radius + 1]
    assert [(each["rank"], int(each["userId"])) for each in found["around"]] == near


async def test_around_nobody_is_null(board: Api) -> None:
    assert await board.ask('{ around(userId: "6") { rank } }') == {"around": None}


async def test_several_fields_answer_together(board: Api) -> None:
    found = await board.ask(
        "{ top: leaderboard(first: 1) { nodes { userId } } mine: rank(userId: 4) { rank } __typename "
        "history(userId: 4) { totalCount } }"
    )
    assert list(found.items()) == [
        ("top", {"nodes": [{"userId": "12"}]}),
        ("mine", {"rank": 3}),
        ("__typename", "Query"),
        ("history", {"totalCount": 1}),
    ]
