"""Whatever Redis missed or lost, it says by itself within seconds what the shards say."""

from __future__ import annotations

import asyncio
import random
import shutil
from pathlib import Path

import pytest
from redis.asyncio import Redis

from db.standings import read_mark
from domain.standing import Standing
from infra.local.cluster import LocalCluster
from ranking.marks import Marks
from service.parts import Parts
from service.read_standing import read_standing
from service.read_top import read_top
from service.relay import catch_up
from service.submit import submit_score
from tests.db.shards import connected
from tests.factories import make_submission, opened_parts, users_of_shard
from tests.ranking import plain
from tests.service.boards import KEYS, board_of_redis, board_of_shards, ranks_are_there, until_equal
from tests.waiting import until

USERS = range(-40, 40)


async def submit_some(parts: Parts, seed: int, count: int = 200) -> None:
    dice = random.Random(seed)
    await asyncio.gather(
        *(submit_score(parts, make_submission(dice.choice(USERS), dice.randint(-20, 20))) for _ in range(count))
    )


async def record_and_die(parts: Parts, seed: int, count: int = 100) -> None:
    """Sessions whose process was killed between the commit and the ranks."""
    dice = random.Random(seed)
    await asyncio.gather(
        *(parts.router.record(make_submission(dice.choice(USERS), dice.randint(-20, 20))) for _ in range(count))
    )


async def copy_files(source: Path, target: Path) -> None:
    """Copy a directory with its owners and rights."""
    copying = await asyncio.create_subprocess_exec("cp", "-a", source, target)
    assert await copying.wait() == 0


async def test_what_a_killed_process_did_not_tell_is_carried_over(ready: LocalCluster, parts: Parts) -> None:
    await submit_some(parts, 1)
    await record_and_die(parts, 2)
    rows = await until_equal(ready)
    page = await read_top(parts, "global", 100, None)
    assert list(page.standings) == plain.standings(rows)


async def test_one_process_carries_over_what_another_left(ready: LocalCluster, parts: Parts) -> None:
    async with opened_parts(ready, background=False) as dead:
        await record_and_die(dead, 3)
    assert len(await until_equal(ready)) > 50


async def test_a_redis_that_was_away_for_many_writes_catches_up(ready: LocalCluster, parts: Parts) -> None:
    await submit_some(parts, 4)
    child = ready.child("valkey")
    await child.stop()
    try:
        await submit_some(parts, 5)
        standing = await read_standing(parts, "global", USERS[0])
        assert standing is not None
    finally:
        await child.start()
    rows = await until_equal(ready)
    expected = {s.user_id: s for s in plain.standings(rows)}
    await until(lambda: ranks_are_there(parts))
    assert await read_standing(parts, "global", USERS[0]) == expected[USERS[0]]


async def test_a_redis_that_lost_its_last_seconds_is_caught_up(
    ready: LocalCluster, parts: Parts, tmp_path: Path
) -> None:
    child = ready.child("valkey")
    files, copy = ready.data / "valkey" / "appendonlydir", tmp_path / "appendonlydir"
    await submit_some(parts, 6)
    await until_equal(ready)
    await child.stop()
    await copy_files(files, copy)
    older = await board_of_shards(ready)
    await child.start()
    await until(lambda: ranks_are_there(parts))
    await submit_some(parts, 7)
    await until_equal(ready)
    await child.stop(kill=True)
    shutil.rmtree(files)
    await copy_files(copy, files)
    await child.start()
    assert await board_of_shards(ready) != older
    await until_equal(ready)


async def test_a_redis_that_lost_all_is_filled_anew(ready: LocalCluster, parts: Parts) -> None:
    await submit_some(parts, 8)
    async with Redis.from_url(ready.redis_url) as redis:
        await redis.flushall()
    await until_equal(ready)
    await submit_some(parts, 9)
    assert await board_of_redis(ready) == await board_of_shards(ready)


async def test_totals_that_go_down_arrive_too(ready: LocalCluster, parts: Parts) -> None:
    await asyncio.gather(*(submit_score(parts, make_submission(user, 100)) for user in USERS))
    await asyncio.gather(*(parts.router.record(make_submission(user, -150)) for user in USERS))
    assert {row.total_score for row in await until_equal(ready)} == {-50}


async def test_a_rename_that_was_not_told_arrives_too(ready: LocalCluster, parts: Parts) -> None:
    await submit_score(parts, make_submission(1, 5, username="Ada"))
    await parts.router.record(make_submission(1, 0, username="Eve"))
    assert [row.username for row in await until_equal(ready)] == ["Eve"]


async def test_a_backlog_of_many_steps_is_carried_over(
    ready: LocalCluster, parts: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.relay._CHANGED_BATCH", 7)
    for seed in (10, 11, 12):
        await record_and_die(parts, seed)
    await until_equal(ready)


async def test_a_caught_up_shard_costs_no_writes(ready: LocalCluster) -> None:
    async with opened_parts(ready) as parts:
        await until(lambda: ranks_are_there(parts))
        await record_and_die(parts, 13)
        await until_equal(ready)
    async with opened_parts(ready, background=False) as parts:
        marks = Marks(parts.store, KEYS)
        postgreses = [shard.postgres for shard in parts.router.shards.values()]
        for postgres in postgreses:
            await catch_up(parts, marks, postgres)
        async with Redis.from_url(ready.redis_url) as redis:
            before = {key: await redis.dump(key) for key in (KEYS.ranks, KEYS.rows, KEYS.marks)}
            assert [await catch_up(parts, marks, postgres) for postgres in postgreses] == [0, 0, 0, 0]
            assert {key: await redis.dump(key) for key in before} == before


async def test_a_transaction_that_commits_late_is_not_passed_over(ready: LocalCluster, parts: Parts) -> None:
    """Of two transactions the one that began first commits last; the mark must not go beyond it meanwhile."""
    early, late = users_of_shard(1, 2)
    url = ready.shards[0].direct_url
    await submit_score(parts, make_submission(early, 1))
    async with connected(url) as connection:
        transaction = connection.transaction()
        await transaction.start()
        await connection.execute(
            "update leaderboard set total_score = 77, revision = revision + 1, changed_xid = pg_current_xact_id() "
            "where user_id = $1",
            early,
        )
        await parts.router.record(make_submission(late, 5))
        standing: Standing | None = None

        async def arrived() -> bool:
            nonlocal standing
            standing = await parts.projection.standing(late)
            return standing is not None

        await until(arrived)
        await transaction.commit()
    assert {(row.user_id, row.total_score) for row in await until_equal(ready)} == {(early, 77), (late, 5)}


async def test_writes_go_on_and_redis_is_lost_again_and_again(ready: LocalCluster, parts: Parts) -> None:
    writing = True

    async def write(seed: int) -> None:
        while writing:
            seed += 100
            await submit_some(parts, seed, count=10)
            await record_and_die(parts, seed, count=3)

    async with opened_parts(ready) as other:
        writers = [asyncio.create_task(write(seed)) for seed in range(3)]
        async with Redis.from_url(ready.redis_url) as redis:
            for _ in range(3):
                await until(lambda: ranks_are_there(other))
                await redis.flushall()
            await until(lambda: ranks_are_there(other))
            await redis.client_kill_filter(_type="normal")
        ready.child("valkey").crash()
        await until(lambda: ranks_are_there(other))
        writing = False
        await asyncio.gather(*writers)
        await until_equal(ready)


async def test_readers_see_whole_boards_only(ready: LocalCluster, parts: Parts) -> None:
    await asyncio.gather(*(submit_score(parts, make_submission(user, 1)) for user in range(300)))
    counts: set[int] = set()
    reading = True

    async def read() -> None:
        while reading:
            counts.add((await read_top(parts, "global", 1, None)).total_count)

    reader = asyncio.create_task(read())
    async with Redis.from_url(ready.redis_url) as redis:
        for _ in range(3):
            await redis.flushall()
            await until_equal(ready)
    reading = False
    await reader
    assert counts == {300}


async def test_an_open_transaction_holds_up_nobody_elses_change(ready: LocalCluster, parts: Parts) -> None:
    """It holds up the mark, as the copy of a move does for as long as it takes."""
    early, late = users_of_shard(1, 2)
    marks = Marks(parts.store, KEYS)
    postgres = parts.router.shards["shard1"].postgres
    async with connected(ready.shards[0].direct_url) as connection, connection.transaction():
        xid = int(await connection.fetchval("select pg_current_xact_id()::text"))
        incarnation, _ = await read_mark(postgres)

        async def mark_waits() -> bool:
            await catch_up(parts, marks, postgres)
            return await marks.read(incarnation) == str(xid)

        await until(mark_waits)
        await parts.router.record(make_submission(late, 5))
        await parts.router.record(make_submission(early, 7))
        await until_equal(ready)
