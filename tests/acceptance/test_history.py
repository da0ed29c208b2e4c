from __future__ import annotations

import time
from typing import Any
from uuid import UUID

import pytest

from domain.ids import instant_of, make_uuid7
from tests.acceptance.client import SESSION, Api

PAGE = f"""
    query ($user: ID!, $first: Int!, $after: String, $mode: String) {{
        history(userId: $user, first: $first, after: $after, gameMode: $mode) {{
            edges {{ cursor node {{ {SESSION} }} }}
            nodes {{ id }}
            pageInfo {{ hasNextPage hasPreviousPage startCursor endCursor }}
            totalCount
        }}
    }}
"""
DAY_MS = 24 * 3600 * 1000


async def page(api: Api, first: int, after: str | None = None, mode: str | None = None) -> dict[str, Any]:
    variables = {"user": "7", "first": first, "after": after, "mode": mode}
    found: dict[str, Any] = (await api.ask(PAGE, variables))["history"]
    return found


@pytest.fixture
async def ids(api: Api) -> list[UUID]:
    """The ids of 30 sessions, one a day up to now: of two months, but at a month's end; newest first."""
    now_ms = int(time.time() * 1000)
    made = [make_uuid7(now_ms - day * DAY_MS) for day in range(29, -1, -1)]
    await api.submit_many(
        [
            {
                "userId": "7",
                "username": "Ada",
                "score": number,
                "submissionId": str(id_),
                "gameMode": ("ranked", None, "solo")[number % 3],
                "durationSeconds": number if number % 2 else None,
            }
            for number, id_ in enumerate(made)
        ]
    )
    await api.submit(userId="8", username="Bea", score=1)
    return made[::-1]


async def test_sessions_come_newest_first_across_months_page_by_page(api: Api, ids: list[UUID]) -> None:
    walked: list[str] = []
    after = None
    while True:
        found = await page(api, 7, after)
        assert found["totalCount"] == 30
        assert found["pageInfo"]["hasPreviousPage"] is (after is not None)
        assert [edge["node"]["id"] for edge in found["edges"]] == [node["id"] for node in found["nodes"]]
        walked += [node["id"] for node in found["nodes"]]
        after = found["pageInfo"]["endCursor"]
        assert after == found["edges"][-1]["cursor"]
        if not found["pageInfo"]["hasNextPage"]:
            break
    assert walked == [str(id_) for id_ in ids]


async def test_a_session_is_shown_as_it_was_submitted(api: Api, ids: list[UUID]) -> None:
    nodes = [edge["node"] for edge in (await page(api, 2))["edges"]]
    assert nodes == [
        {
            "id": str(id_),
            "userId": "7",
            "score": score,
            "gameMode": mode,
            "durationSeconds": duration,
            "playedAt": instant_of(id_).isoformat(timespec="microseconds").replace("+00:00", "Z"),
        }
        for id_, score, mode, duration in ((ids[0], 29, "solo", 29), (ids[1], 28, None, None))
    ]


async def test_one_game_mode_alone_with_the_count_of_all(api: Api, ids: list[UUID]) -> None:
    found = await page(api, 4, mode="ranked")
    assert [edge["node"]["score"] for edge in found["edges"]] == [27, 24, 21, 18]
    assert (found["totalCount"], found["pageInfo"]["hasNextPage"]) == (30, True)
    rest = await page(api, 100, found["pageInfo"]["endCursor"], "ranked")
    assert [edge["node"]["score"] for edge in rest["edges"]] == [15, 12, 9, 6, 3, 0]
    assert rest["pageInfo"]["hasNextPage"] is False
    assert (await page(api, 4, mode="unknown"))["edges"] == []


async def test_a_page_stays_in_its_place_while_sessions_come_in(api: Api, ids: list[UUID]) -> None:
    first = await page(api, 3)
    await api.submit(userId="7", username="Ada", score=1)
    second = await page(api, 3, first["pageInfo"]["endCursor"])
    assert [node["id"] for node in second["nodes"]] == [str(id_) for id_ in ids[3:6]]
    assert second["totalCount"] == 31


async def test_who_never_played_has_an_empty_history(api: Api) -> None:
    assert await page(api, 3) == {
        "edges": [],
        "nodes": [],
        "pageInfo": {"hasNextPage": False, "hasPreviousPage": False, "startCursor": None, "endCursor": None},
        "totalCount": 0,
    }
