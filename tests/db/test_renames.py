"""The name that is shown is the newest given, and the ranks are told the same name as the shard holds."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from db.postgres import Postgres
from db.scores import record_sessions
from domain.submission import Submission
from infra.local.cluster_file import ShardUrls
from sharding.placement import bucket_of
from tests.db.shards import connected, record
from tests.factories import make_id, make_submission
from tests.waiting import until


async def stored_name(shard: ShardUrls, user_id: int = 7) -> str:
    async with connected(shard.direct_url) as connection:
        name: str = await connection.fetchval("select username from players where user_id = $1", user_id)
    return name


@asynccontextmanager
async def uncommitted(shard: ShardUrls, submission: Submission) -> AsyncIterator[None]:
    """The submission is recorded in a transaction that commits at the end of the block."""
    async with connected(shard.direct_url) as connection, connection.transaction():
        outcome = await connection.fetchval(
            "select outcome from record_sessions($1, $2, $3, $4, $5, $6, $7, $8, $9, true)",
            [submission.id],
            [submission.id.int >> 80],
            [bucket_of(submission.user_id)],
            [submission.user_id],
            [submission.username],
            [submission.score],
            [submission.game_mode],
            [submission.duration_seconds],
            [submission.recorded_us],
        )
        assert outcome == "recorded"
        yield


async def until_waiting_for_a_lock(shard: ShardUrls) -> None:
    async with connected(shard.direct_url) as connection:
        await until(
            lambda: connection.fetchval("select exists (select from pg_locks where not granted)"), seconds_max=5.0
        )


async def test_the_newest_name_given_is_shown(postgres: Postgres, shard: ShardUrls) -> None:
    for name in ("Ada", "Eve", "Ada"):
        (answer,) = await record(postgres, make_submission(7, 1, username=name))
        assert answer.row is not None
        assert answer.row.username == name
        assert await stored_name(shard) == name


async def test_the_last_name_of_a_batch_is_shown(postgres: Postgres, shard: ShardUrls) -> None:
    names = ["Ada", "Eve", "Bob"]
    answers = await record(postgres, *(make_submission(7, 1, username=name) for name in names))
    assert [a.row.username for a in answers if a.row] == ["Bob", "Bob", "Bob"]
    assert await stored_name(shard) == "Bob"


async def test_a_duplicates_name_is_not_taken_for_new(postgres: Postgres, shard: ShardUrls) -> None:
    first = make_submission(7, 1, username="Ada")
    await record(postgres, first)
    await record(postgres, make_submission(7, 1, username="Eve"))
    answers = await record(
        postgres, make_submission(7, 1, username="Bob"), make_submission(7, 1, username="Ada", id=first.id)
    )
    assert [a.outcome for a in answers] == ["recorded", "duplicate"]
    assert [a.row.username for a in answers if a.row] == ["Bob", "Bob"]
    assert await stored_name(shard) == "Bob"


async def test_a_name_that_stays_touches_no_players_row(postgres: Postgres, shard: ShardUrls) -> None:
    await record(postgres, make_submission(7, 1))
    async with connected(shard.direct_url) as connection:
        before = await connection.fetchrow("select ctid, xmin, * from players")
        await record(postgres, make_submission(7, 1))
        assert await connection.fetchrow("select ctid, xmin, * from players") == before


async def test_of_two_concurrent_names_the_one_of_the_newer_revision_stays(
    postgres: Postgres, shard: ShardUrls
) -> None:
    await record(postgres, make_submission(7, 1, username="Ada"))
    async with uncommitted(shard, make_submission(7, 1, username="Eve")):
        # The second keeps the name that it sees; meanwhile the first, which came before it, changes it.
        second = asyncio.ensure_future(record(postgres, make_submission(7, 1, username="Ada")))
        await until_waiting_for_a_lock(shard)
        assert await stored_name(shard) == "Ada"
    (answer,) = await second
    assert answer.row is not None
    assert (answer.row.username, answer.row.revision) == ("Ada", 3)
    assert await stored_name(shard) == "Ada"


async def test_the_name_of_the_highest_revision_is_the_stored_one(postgres: Postgres, shard: ShardUrls) -> None:
    users = range(5)

    async def submit(number: int) -> list[tuple[int, int, str]]:
        batch = [make_submission(user, 1, username=f"name {number % 3}") for user in users]
        answers = await record(postgres, *batch)
        return [(a.row.user_id, a.row.revision, a.row.username) for a in answers if a.row]

    told = [row for rows in await asyncio.gather(*map(submit, range(60))) for row in rows]
    for user in users:
        assert sorted(revision for user_id, revision, _ in told if user_id == user) == list(range(1, 61))
        assert await stored_name(shard, user) == max(row for row in told if row[0] == user)[2]


async def test_an_older_session_renames_nobody_where_only_the_newest_may(postgres: Postgres, shard: ShardUrls) -> None:
    await record(postgres, make_submission(7, 1, username="Ada"))
    older = make_submission(7, 1, username="Eve", id=make_id(seconds_ago=3600))
    (answer,) = await record(postgres, older, rename=False)
    assert (answer.outcome, answer.total) == ("recorded", 2)
    assert await stored_name(shard) == "Ada"
    assert answer.row is None
    (answer,) = await record(postgres, make_submission(7, 1, username="Bob"), rename=False)
    assert await stored_name(shard) == "Bob"


async def test_of_a_batch_of_old_sessions_the_newest_names_the_player(postgres: Postgres, shard: ShardUrls) -> None:
    newer = make_submission(7, 1, username="new", id=make_id(seconds_ago=10))
    older = make_submission(7, 1, username="old", id=make_id(seconds_ago=20))
    await record_sessions(postgres, [(bucket_of(7), newer), (bucket_of(7), older)], rename=False)
    assert await stored_name(shard) == "new"


async def test_an_older_session_renames_nobody_though_the_newer_is_not_yet_committed(
    postgres: Postgres, shard: ShardUrls
) -> None:
    newer = make_submission(7, 1, username="new")
    older = make_submission(7, 1, username="old", id=make_id(seconds_ago=3600))
    async with uncommitted(shard, newer):
        importing = asyncio.ensure_future(record(postgres, older, rename=False))
        await until_waiting_for_a_lock(shard)
    await importing
    assert await stored_name(shard) == "new"
