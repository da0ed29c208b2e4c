from __future__ import annotations

from typing import Any

from infra.local.cluster import LocalCluster
from tests.acceptance.client import SUBMIT_MANY, Api, stored
from tests.factories import make_id


def an_input(user_id: int = 1, score: int = 10, **fields: Any) -> dict[str, Any]:
    return {"userId": str(user_id), "username": f"player {user_id}", "score": score, **fields}


async def test_each_input_has_one_result_in_its_place(api: Api) -> None:
    results = await api.submit_many([an_input(user_id, user_id * 10) for user_id in (3, 1, 2)])
    assert [result["error"] for result in results] == [None] * 3
    assert [result["payload"]["session"]["userId"] for result in results] == ["3", "1", "2"]
    nodes = (await api.ask("{ leaderboard { nodes { rank userId totalScore } } }"))["leaderboard"]["nodes"]
    assert [(node["rank"], node["userId"], node["totalScore"]) for node in nodes] == [
        (1, "3", 30),
        (2, "2", 20),
        (3, "1", 10),
    ]


async def test_one_bad_input_fails_nothing_but_itself(api: Api, clean: LocalCluster) -> None:
    results = await api.submit_many(
        [
            an_input(1),
            an_input(2, score=2**60),
            an_input(3, submissionId="nonsense"),
            an_input(4, username=" "),
            an_input(5, durationSeconds=-1),
            {"userId": "x", "username": "x", "score": 1},
            an_input(6),
        ]
    )
    assert [result["payload"] and result["payload"]["session"]["userId"] for result in results] == [
        "1", None, None, None, None, None, "6",
    ]  # fmt: skip
    errors = [result["error"] for result in results]
    assert {error["code"] for error in errors if error} == {"BAD_USER_INPUT"}
    assert [error and error["message"].split(" ")[0] for error in errors] == [
        None,
        "inputs[1].score",
        "inputs[2].submissionId",
        "inputs[3].username",
        "inputs[4].durationSeconds",
        "inputs[5].userId",
        None,
    ]
    assert len(await stored(clean)) == 6  # a session, a standing and a player for each of the two good ones


async def test_a_total_that_would_leave_its_range_fails_that_input_alone(api: Api, clean: LocalCluster) -> None:
    most = 2**53 - 1
    results = await api.submit_many([an_input(1, most), an_input(2, 5), an_input(1, 1), an_input(1, -1)])
    outcomes = [
        (r["payload"] and r["payload"]["standing"]["totalScore"], r["error"] and r["error"]["code"]) for r in results
    ]
    assert sorted(outcomes, key=str) == sorted(
        [(most, None), (5, None), (None, "BAD_USER_INPUT"), (most - 1, None)], key=str
    )
    assert len([row for row in await stored(clean) if '"score":' in row]) == 3


async def test_a_duplicate_inside_one_request_is_answered_as_a_duplicate(api: Api, clean: LocalCluster) -> None:
    same = an_input(1, 10, submissionId=str(make_id()))
    results = await api.submit_many([same, an_input(2), same, same | {"score": 11}])
    assert [result["payload"] and result["payload"]["duplicate"] for result in results] == [False, False, True, None]
    assert results[0]["payload"]["session"] == results[2]["payload"]["session"]
    assert results[0]["payload"]["standing"]["totalScore"] == results[2]["payload"]["standing"]["totalScore"] == 10
    assert results[3]["error"]["code"] == "CONFLICT"
    assert len([row for row in await stored(clean) if '"score":' in row]) == 2


async def test_a_thousand_inputs_are_taken(api: Api) -> None:
    results = await api.submit_many([an_input(n % 100, 1) for n in range(1000)])
    assert [result["error"] for result in results] == [None] * 1000
    board = (await api.ask("{ leaderboard(first: 100) { totalCount nodes { rank totalScore gamesPlayed } } }"))[
        "leaderboard"
    ]
    assert board == {"totalCount": 100, "nodes": [{"rank": 1, "totalScore": 10, "gamesPlayed": 10}] * 100}


async def test_a_number_of_inputs_beyond_the_bounds_is_refused_and_changes_nothing(
    api: Api, clean: LocalCluster
) -> None:
    for count in (0, 1001):
        refused = await api.refused(SUBMIT_MANY, {"inputs": [an_input(n) for n in range(count)]})
        assert refused == ("BAD_USER_INPUT", f"inputs must have 1 to 1000 entries; got {count}.")
    assert await stored(clean) == []
