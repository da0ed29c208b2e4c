from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from db.errors import refusal_of
from db.postgres import Postgres
from db.scores import Outcomes
from domain.errors import BadUserInput, ErrorCode
from domain.ids import USER_ID_MAX, USER_ID_MIN, instant_of, make_uuid7
from domain.standing import Row
from domain.submission import SCORE_MAX
from infra.local.cluster_file import ShardUrls
from sharding.placement import bucket_of
from tests.db.shards import connected, contents, record
from tests.factories import make_id, make_submission


async def test_a_first_session_makes_the_player_and_its_row(postgres: Postgres, shard: ShardUrls) -> None:
    submission = make_submission(7, 120, username="Ada", game_mode="arena", duration_seconds=90)
    played = instant_of(submission.id)
    (outcome,) = await record(postgres, submission)
    assert outcome == Outcomes("recorded", 120, 1, played, Row(7, "Ada", 120, 1, played, 1))
    async with connected(shard.direct_url) as connection:
        taken = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=submission.recorded_us)
        assert tuple(await connection.fetchrow("select * from players")) == (bucket_of(7), 7, "Ada", taken)
        session = await connection.fetchrow("select * from game_sessions")
        assert dict(session) == {
            "id": submission.id,
            "user_id": 7,
            "bucket": bucket_of(7),
            "score": 120,
            "duration_seconds": 90,
            "recorded_at": taken,
            "total_after": 120,
            "games_after": 1,
            "last_played_after": played,
            "username": "Ada",
            "game_mode": "arena",
        }


async def test_sessions_add_up_and_each_is_a_revision(postgres: Postgres) -> None:
    scores = [100, -30, 0, 5]
    answers = [(await record(postgres, make_submission(7, score)))[0] for score in scores]
    assert [(a.outcome, a.total, a.games) for a in answers] == [
        ("recorded", 100, 1),
        ("recorded", 70, 2),
        ("recorded", 70, 3),
        ("recorded", 75, 4),
    ]
    assert [a.row.revision for a in answers if a.row] == [1, 2, 3, 4]


async def test_sessions_of_one_player_in_one_batch_have_running_totals(postgres: Postgres) -> None:
    await record(postgres, make_submission(7, 1000))
    batch = [make_submission(7, 1), make_submission(8, 5), make_submission(7, 10), make_submission(7, -100)]
    answers = await record(postgres, *batch)
    assert [(a.outcome, a.total, a.games) for a in answers] == [
        ("recorded", 1001, 2),
        ("recorded", 5, 1),
        ("recorded", 1011, 3),
        ("recorded", 911, 4),
    ]
    newest = max(instant_of(s.id) for s in batch if s.user_id == 7)
    row = Row(7, "player 7", 911, 4, newest, 2)
    assert [a.row for a in answers] == [row, Row(8, "player 8", 5, 1, instant_of(batch[1].id), 1), row, row]


async def test_a_retry_answers_as_the_first_time_and_changes_nothing(postgres: Postgres, shard: ShardUrls) -> None:
    first = make_submission(7, 100)
    await record(postgres, make_submission(7, 1))
    (answer,) = await record(postgres, first)
    await record(postgres, make_submission(7, 5000))
    before = await contents(shard.direct_url)
    retry = make_submission(7, 100, id=first.id)
    (again,) = await record(postgres, retry)
    assert again == Outcomes("duplicate", 101, 2, answer.last_played, None)
    assert await contents(shard.direct_url) == before


async def test_the_services_own_second_try_answers_recorded(postgres: Postgres, shard: ShardUrls) -> None:
    batch = [make_submission(7, 100), make_submission(7, 20), make_submission(8, 3)]
    answers = await record(postgres, *batch)
    before = await contents(shard.direct_url)
    again = await record(postgres, *batch)
    assert [(a.outcome, a.total, a.games, a.last_played) for a in again] == [
        (a.outcome, a.total, a.games, a.last_played) for a in answers
    ]
    assert await contents(shard.direct_url) == before


async def test_an_old_session_does_not_turn_last_played_back(postgres: Postgres) -> None:
    newest, older = make_submission(7, 1), make_submission(7, 1, id=make_id(seconds_ago=3600))
    await record(postgres, newest)
    (answer,) = await record(postgres, older)
    assert answer.last_played == instant_of(newest.id)
    assert answer.row == Row(7, "player 7", 2, 2, instant_of(newest.id), 2)


@pytest.mark.parametrize(
    "other",
    [
        {"user_id": 8},
        {"username": "Eve"},
        {"score": 11},
        {"game_mode": "race"},
        {"game_mode": None},
        {"duration_seconds": 91},
        {"duration_seconds": None},
    ],
)
async def test_an_id_used_again_with_other_content_is_a_conflict(
    postgres: Postgres, shard: ShardUrls, other: dict[str, Any]
) -> None:
    content: dict[str, Any] = {
        "user_id": 7,
        "username": "Ada",
        "score": 10,
        "game_mode": "arena",
        "duration_seconds": 90,
    }
    first = make_submission(**content)
    await record(postgres, first)
    before = await contents(shard.direct_url)
    (answer,) = await record(postgres, make_submission(**{**content, **other, "id": first.id}))
    assert (answer.outcome, answer.row) == ("conflict", None)
    assert await contents(shard.direct_url) == before


async def test_null_is_content_too(postgres: Postgres, shard: ShardUrls) -> None:
    first = make_submission(7, 10, game_mode=None, duration_seconds=None)
    await record(postgres, first)
    before = await contents(shard.direct_url)
    again = await record(
        postgres,
        make_submission(7, 10, id=first.id),
        make_submission(7, 10, id=first.id, game_mode="arena"),
        make_submission(7, 10, id=first.id, duration_seconds=0),
    )
    assert [a.outcome for a in again] == ["duplicate", "conflict", "conflict"]
    assert await contents(shard.direct_url) == before


async def test_an_id_twice_in_one_batch_counts_once(postgres: Postgres) -> None:
    first = make_submission(7, 10)
    answers = await record(
        postgres,
        first,
        make_submission(7, 1),
        make_submission(7, 10, id=first.id),
        make_submission(7, 99, id=first.id),
        make_submission(8, 10, id=first.id, username="player 7"),
    )
    assert [a.outcome for a in answers] == ["recorded", "recorded", "duplicate", "conflict", "conflict"]
    assert [(a.total, a.games) for a in answers[:3]] == [(10, 1), (11, 2), (10, 1)]
    assert answers[0].row == Row(7, "player 7", 11, 2, answers[1].last_played, 1)


async def test_a_batch_of_known_and_new_ids_counts_only_the_new(postgres: Postgres) -> None:
    known = make_submission(7, 10)
    await record(postgres, known)
    answers = await record(postgres, make_submission(7, 10, id=known.id), make_submission(7, 5), make_submission(8, 1))
    assert [(a.outcome, a.total, a.games) for a in answers] == [
        ("duplicate", 10, 1),
        ("recorded", 15, 2),
        ("recorded", 1, 1),
    ]


@pytest.mark.parametrize("user_id", [USER_ID_MIN, -1, 0, USER_ID_MAX])
async def test_every_user_id_has_a_place(postgres: Postgres, user_id: int) -> None:
    (answer,) = await record(postgres, make_submission(user_id, -5))
    assert answer.row == Row(user_id, f"player {user_id}", -5, 1, answer.last_played, 1)


async def test_a_frozen_bucket_takes_nothing_and_an_unowned_one_neither(postgres: Postgres, shard: ShardUrls) -> None:
    known = make_submission(7, 10)
    await record(postgres, known)
    async with connected(shard.direct_url) as connection:
        await connection.execute("update bucket_owner set state = 'frozen' where bucket = $1", bucket_of(7))
        gone = await connection.fetchrow("delete from bucket_owner where bucket = $1 returning *", bucket_of(8))
    before = await contents(shard.direct_url)
    try:
        answers = await record(
            postgres, make_submission(7, 1), make_submission(8, 1), make_submission(7, 10, id=known.id)
        )
        assert [(a.outcome, a.row) for a in answers] == [("frozen", None), ("moved", None), ("frozen", None)]
        assert await contents(shard.direct_url) == before
        (neighbour,) = await record(postgres, make_submission(9, 1))
        assert neighbour.outcome == "recorded"
    finally:
        async with connected(shard.direct_url) as connection:
            await connection.execute("insert into bucket_owner values ($1, $2, $3, $4)", *gone)


@pytest.mark.parametrize("sign", [1, -1])
async def test_a_total_ends_exactly_at_its_range(postgres: Postgres, shard: ShardUrls, sign: int) -> None:
    await record(postgres, make_submission(7, sign * (SCORE_MAX - 1)))
    (at_the_end,) = await record(postgres, make_submission(7, sign))
    assert (at_the_end.outcome, at_the_end.total) == ("recorded", sign * SCORE_MAX)
    before = await contents(shard.direct_url)
    with pytest.raises(asyncpg.CheckViolationError) as raised:
        await record(postgres, make_submission(7, sign))
    refusal = refusal_of(raised.value)
    assert isinstance(refusal, BadUserInput)
    assert refusal.code is ErrorCode.BAD_USER_INPUT
    assert await contents(shard.direct_url) == before
    (back,) = await record(postgres, make_submission(7, -sign))
    assert back.total == sign * (SCORE_MAX - 1)


async def test_no_session_leaves_the_range_though_its_batch_ends_within(postgres: Postgres, shard: ShardUrls) -> None:
    before = await contents(shard.direct_url)
    batch = [make_submission(7, SCORE_MAX), make_submission(7, 1), make_submission(7, -SCORE_MAX)]
    with pytest.raises(asyncpg.CheckViolationError) as raised:
        await record(postgres, *batch)
    assert isinstance(refusal_of(raised.value), BadUserInput)
    assert await contents(shard.direct_url) == before


async def test_one_that_leaves_the_range_takes_its_whole_batch_with_it(postgres: Postgres, shard: ShardUrls) -> None:
    await record(postgres, make_submission(7, SCORE_MAX))
    before = await contents(shard.direct_url)
    with pytest.raises(asyncpg.CheckViolationError):
        await record(postgres, make_submission(8, 1), make_submission(7, 1), make_submission(9, 1))
    assert await contents(shard.direct_url) == before


async def test_a_month_without_partition_is_the_shards_trouble_not_the_clients(
    postgres: Postgres, shard: ShardUrls
) -> None:
    before = await contents(shard.direct_url)
    with pytest.raises(asyncpg.CheckViolationError) as raised:
        await record(postgres, make_submission(7, 1, id=make_uuid7(1_000_000_000_000)))
    refusal = refusal_of(raised.value)
    assert refusal is not None
    assert (refusal.code, str(refusal)) == (
        ErrorCode.UNAVAILABLE,
        "There is no partition for the month of this session; run `shardboard sessions partitions`.",
    )
    assert await contents(shard.direct_url) == before


async def test_one_id_on_many_connections_counts_once(postgres: Postgres, shard: ShardUrls) -> None:
    id_ = make_id()
    answers = await asyncio.gather(
        *(record(postgres, make_submission(7, 10, id=id_)) for _ in range(32)), return_exceptions=True
    )
    # Who loses the race for an id is told so by the index and tries again, which the writer does.
    assert all(isinstance(a, list | asyncpg.UniqueViolationError) for a in answers), answers
    outcomes = [a[0].outcome for a in answers if isinstance(a, list)]
    assert outcomes.count("recorded") == 1
    assert set(outcomes) <= {"recorded", "duplicate"}
    async with connected(shard.direct_url) as connection:
        assert await connection.fetchval("select total_score from leaderboard") == 10
        assert await connection.fetchval("select count(*) from game_sessions") == 1


async def test_concurrent_batches_of_the_same_players_add_up(postgres: Postgres, shard: ShardUrls) -> None:
    async def submit(seed: int) -> None:
        users = sorted(range(40), key=lambda user: hash((seed, user)))
        await record(postgres, *(make_submission(user, 1) for user in users))

    await asyncio.gather(*(submit(seed) for seed in range(40)))
    async with connected(shard.direct_url) as connection:
        rows = await connection.fetch("select user_id, total_score, games_played, revision from leaderboard")
    assert sorted(tuple(row) for row in rows) == [(user, 40, 40, 40) for user in range(40)]
