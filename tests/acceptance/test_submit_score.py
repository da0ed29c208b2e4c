from __future__ import annotations

import asyncio
from collections import Counter
from datetime import datetime, timedelta
from uuid import UUID

import pytest

from domain.ids import instant_of, uuid7_unix_ms
from infra.local.cluster import LocalCluster
from tests.acceptance.client import SUBMIT, Api, stored
from tests.factories import make_id, users_of_shard


async def test_the_answer_holds_the_session_and_the_standing_after_it(api: Api) -> None:
    id_ = make_id(seconds_ago=60)
    payload = await api.submit(
        userId="42", username="  Ada ✨ ", score=1200, gameMode="ranked", durationSeconds=61, submissionId=str(id_)
    )
    played_at = instant_of(id_).isoformat(timespec="microseconds").replace("+00:00", "Z")
    assert payload == {
        "session": {
            "id": str(id_),
            "userId": "42",
            "score": 1200,
            "gameMode": "ranked",
            "durationSeconds": 61,
            "playedAt": played_at,
        },
        "standing": {
            "rank": 1,
            "userId": "42",
            "username": "Ada ✨",
            "totalScore": 1200,
            "gamesPlayed": 1,
            "lastPlayed": played_at,
            "percentile": 100.0,
        },
        "duplicate": False,
    }


async def test_without_an_id_the_service_makes_one_of_now_and_a_retry_counts_twice(api: Api) -> None:
    first = await api.submit(userId="42", username="Ada", score=-5)
    second = await api.submit(userId="42", username="Ada", score=-5)
    made = UUID(first["session"]["id"])
    assert made.version == 7
    assert abs(uuid7_unix_ms(made) - uuid7_unix_ms(make_id())) < 10_000
    assert first["session"] | {"id": "", "playedAt": ""} == {
        "id": "",
        "userId": "42",
        "score": -5,
        "gameMode": None,
        "durationSeconds": None,
        "playedAt": "",
    }
    assert (second["duplicate"], second["standing"]["totalScore"], second["standing"]["gamesPlayed"]) == (False, -10, 2)


async def test_totals_add_up_on_every_shard_and_ranks_are_over_all_of_them(api: Api) -> None:
    players = [users_of_shard(number, 1)[0] for number in (1, 2, 3, 4)]
    ranks = [
        (await api.submit(userId=str(player), username=f"p{player}", score=score))["standing"]
        for player, score in zip(players, (10, 30, 20, 30), strict=True)
    ]
    assert [(each["rank"], each["percentile"]) for each in ranks] == [(1, 100.0), (1, 100.0), (2, 200 / 3), (1, 100.0)]
    overtaken = await api.submit(userId=str(players[0]), username="renamed", score=15)
    assert overtaken["standing"] | {"lastPlayed": ""} == {
        "rank": 3,
        "userId": str(players[0]),
        "username": "renamed",
        "totalScore": 25,
        "gamesPlayed": 2,
        "lastPlayed": "",
        "percentile": 50.0,
    }


@pytest.mark.parametrize("user_id", [-(2**63), -1, 0, 2**63 - 1])
async def test_every_64_bit_user_id_plays(api: Api, user_id: int) -> None:
    payload = await api.submit(userId=str(user_id), username="x" * 100, score=1)
    assert payload["standing"]["userId"] == str(user_id)
    assert (await api.ask("query ($u: ID!) { rank(userId: $u) { rank username } }", {"u": str(user_id)}))["rank"] == {
        "rank": 1,
        "username": "x" * 100,
    }


async def test_the_outermost_totals_are_exact(api: Api) -> None:
    most = 2**53 - 1
    assert (await api.submit(userId="1", username="a", score=most))["standing"]["totalScore"] == most
    assert (await api.submit(userId="2", username="b", score=-most))["standing"]["totalScore"] == -most
    nodes = (await api.ask("{ leaderboard { nodes { userId totalScore } } }"))["leaderboard"]["nodes"]
    assert nodes == [{"userId": "1", "totalScore": most}, {"userId": "2", "totalScore": -most}]


async def test_a_repeated_id_answers_as_the_first_time_and_changes_nothing(
    api: Api, other_api: Api, clean: LocalCluster
) -> None:
    fields = {"userId": "7", "username": "Ada", "score": 3, "gameMode": "solo", "submissionId": str(make_id())}
    first = await api.submit(**fields)
    before = await stored(clean)
    for process in (api, other_api):
        again = await process.submit(**fields)
        assert again == first | {"duplicate": True}
    assert await stored(clean) == before


@pytest.mark.parametrize(
    "changed",
    [
        {"score": 4},
        {"username": "Bea"},
        {"gameMode": "duo"},
        {"gameMode": None},
        {"durationSeconds": 5},
        {"userId": "8"},
    ],
)
async def test_a_repeated_id_with_other_content_is_a_conflict_and_changes_nothing(
    api: Api, clean: LocalCluster, changed: dict[str, object]
) -> None:
    id_ = str(make_id())
    fields = {"userId": "7", "username": "Ada", "score": 3, "gameMode": "solo", "submissionId": id_}
    await api.submit(**fields)
    before = await stored(clean)
    assert await api.refused(SUBMIT, {"input": fields | changed}) == (
        "CONFLICT",
        f"submissionId {id_} was used before with other content; a retry must repeat the session exactly, "
        "another session needs an id of its own.",
    )
    assert await stored(clean) == before


async def test_64_requests_at_once_with_one_id_count_once(api: Api, other_api: Api, clean: LocalCluster) -> None:
    fields = {"userId": "7", "username": "Ada", "score": 3, "submissionId": str(make_id())}
    payloads = await asyncio.gather(*((api, other_api)[n % 2].submit(**fields) for n in range(64)))
    assert Counter(payload["duplicate"] for payload in payloads) == {False: 1, True: 63}
    assert {payload["session"]["id"] for payload in payloads} == {fields["submissionId"]}
    standings = {(each["standing"]["totalScore"], each["standing"]["gamesPlayed"]) for each in payloads}
    assert standings == {(3, 1)}
    assert len(await stored(clean)) == 3  # a session, a standing and a player


async def test_64_players_at_once_all_count(api: Api, other_api: Api) -> None:
    await asyncio.gather(*((api, other_api)[n % 2].submit(userId=str(n % 8), username="a", score=n) for n in range(64)))
    board = (await api.ask("{ leaderboard { totalCount nodes { userId totalScore gamesPlayed } } }"))["leaderboard"]
    assert board["totalCount"] == 8
    assert {(n["userId"], n["totalScore"], n["gamesPlayed"]) for n in board["nodes"]} == {
        (str(player), sum(range(player, 64, 8)), 8) for player in range(8)
    }


async def test_the_newest_session_decides_what_was_played_last_not_the_last_to_arrive(api: Api) -> None:
    newer = await api.submit(userId="7", username="Ada", score=1, submissionId=str(make_id()))
    older = await api.submit(userId="7", username="Ada", score=1, submissionId=str(make_id(seconds_ago=3600)))
    assert older["standing"]["lastPlayed"] == newer["session"]["playedAt"]
    played_at = datetime.fromisoformat(older["session"]["playedAt"])
    assert datetime.fromisoformat(newer["session"]["playedAt"]) - played_at > timedelta(minutes=59)
