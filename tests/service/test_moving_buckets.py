"""Ranks stay whole and exact while buckets move between shards, in Redis and in SQL."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Sequence

import pytest
from redis.asyncio import Redis

from db.postgres import Postgres
from db.standings import scan_rows
from domain.errors import Unavailable
from domain.standing import Standing
from infra.local.cluster import LocalCluster
from ranking.marks import Marks
from service.parts import Parts
from service.relay import catch_up, rebuild_ranks
from service.renew_ranks import renew_ranks
from service.scan_standings import scan_standings
from service.shard_workers import ShardWorkers
from service.verify_ranks import verify_ranks
from sharding.placement import bucket_of
from sharding.shard import Shard
from tests.db.shards import connected
from tests.factories import make_submission, opened_parts, users_of_shard
from tests.ranking import plain
from tests.service.boards import KEYS, board_of_redis, board_of_shards, until_equal
from tests.sharding.routers import copy_rows, drop_rows, hand_over, reset_owners, switch, tell
from tests.waiting import until

USERS = [user for number in (1, 2, 3, 4) for user in users_of_shard(number, 25)]
MOVING = users_of_shard(1, 8)
BUCKETS = sorted({bucket_of(user) for user in MOVING})


@pytest.fixture
async def movable(clean: LocalCluster) -> AsyncIterator[LocalCluster]:
    """The session's cluster without data; buckets that a test moved are given back."""
    yield clean
    await reset_owners(clean)


@pytest.fixture
async def quiet(movable: LocalCluster) -> AsyncIterator[Parts]:
    """One process's parts without a relay; the ranks of the empty board are there."""
    async with opened_parts(movable, background=False) as parts:
        await renew_ranks(parts)
        yield parts


async def record(parts: Parts, users: Sequence[int], score: int) -> None:
    """Sessions whose process was killed between the commit and the ranks."""
    await asyncio.gather(*(parts.router.record(make_submission(user, score + user % 7)) for user in users))


async def test_a_change_arrives_through_the_target_when_the_source_is_gone(movable: LocalCluster, quiet: Parts) -> None:
    source, target = movable.shards[:2]
    await record(quiet, MOVING, 10)
    epochs = await hand_over(source, target, BUCKETS)
    marks = Marks(quiet.store, KEYS)
    # Before the target owns them, and what it does not own is no standing to anybody else.
    postgres = quiet.router.shards[target.name].postgres
    assert await catch_up(quiet, marks, postgres) == len(MOVING)
    assert await board_of_redis(movable) == await board_of_shards(movable, source.name)
    assert await catch_up(quiet, marks, postgres) == 0
    await tell(target, epochs)
    await drop_rows(source, BUCKETS)
    assert await board_of_redis(movable) == await board_of_shards(movable)


async def test_a_copy_that_is_older_than_the_ranks_changes_nothing(movable: LocalCluster, quiet: Parts) -> None:
    source, target = movable.shards[:2]
    await record(quiet, MOVING, 10)
    await copy_rows(source, target, BUCKETS)
    await record(quiet, MOVING, 100)
    marks = Marks(quiet.store, KEYS)
    assert await catch_up(quiet, marks, quiet.router.shards[source.name].postgres) == len(MOVING)
    newest = await board_of_redis(movable)
    assert await catch_up(quiet, marks, quiet.router.shards[target.name].postgres) == 0
    assert await board_of_redis(movable) == newest == await board_of_shards(movable, source.name)


async def test_a_copy_that_an_ended_move_takes_away_does_not_hold_the_relay_up(
    movable: LocalCluster, quiet: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, target = movable.shards[:2]
    lost, kept = MOVING[0], users_of_shard(2, 1)[0]
    await record(quiet, [lost, kept], 10)
    await copy_rows(source, target, [bucket_of(lost)])
    marks = Marks(quiet.store, KEYS)
    postgres = quiet.router.shards[target.name].postgres
    behind = marks.behind

    async def behind_then_drop(*arguments, **fields):  # type: ignore[no-untyped-def]
        found = await behind(*arguments, **fields)
        await drop_rows(target, [bucket_of(lost)])
        return found

    monkeypatch.setattr(marks, "behind", behind_then_drop)
    assert await catch_up(quiet, marks, postgres) == 1
    monkeypatch.undo()
    # The mark has moved on: there is nothing to look at again.
    async with connected(target.direct_url) as connection:
        incarnation = await connection.fetchval("select incarnation::text from shard_info")
    assert int(await marks.read(incarnation)) > 0
    assert [row.user_id for row in await board_of_redis(movable) or []] == [kept]
    assert await catch_up(quiet, marks, quiet.router.shards[source.name].postgres) == 1
    assert await board_of_redis(movable) == await board_of_shards(movable)


async def test_a_standing_whose_player_has_not_come_yet_is_waited_for(movable: LocalCluster, quiet: Parts) -> None:
    source, target = movable.shards[:2]
    await record(quiet, MOVING, 10)
    await copy_rows(source, target, BUCKETS)
    async with connected(target.direct_url) as connection:
        players = await connection.fetch("delete from players where bucket = any ($1) returning *", BUCKETS)
    marks = Marks(quiet.store, KEYS)
    postgres = quiet.router.shards[target.name].postgres
    assert await catch_up(quiet, marks, postgres) == 0
    assert await board_of_redis(movable) == []
    async with connected(target.direct_url) as connection:
        await connection.copy_records_to_table("players", records=[tuple(player) for player in players])
    assert await catch_up(quiet, marks, postgres) == len(MOVING)
    assert await board_of_redis(movable) == await board_of_shards(movable, source.name)


@pytest.mark.parametrize("batch", [1, 3, 1000])
async def test_a_scan_reads_each_player_once_whatever_moves_meanwhile(
    movable: LocalCluster, quiet: Parts, batch: int
) -> None:
    """After every batch a few buckets go from shard to shard: forward, where a scan shard by shard would read them
    twice, and back, where it would miss them."""
    await record(quiet, USERS, 10)
    dice = random.Random(batch)
    owners = {bucket_of(user): movable.shards[n // 25] for n, user in enumerate(USERS)}
    seen: list[int] = []
    moves = 0
    untold: dict[int, dict[int, int]] = {}
    async for rows in scan_standings(quiet.router, batch):
        seen += [row.user_id for row in rows]
        if moves < 40:
            moves += 1
            bucket = dice.choice(sorted(owners))
            target = dice.choice([shard for shard in movable.shards if shard != owners[bucket]])
            # A target that was not told is told before its bucket moves on, at the latest.
            await tell(owners[bucket], untold.pop(bucket, {}))
            untold[bucket] = await hand_over(owners[bucket], target, [bucket])
            await drop_rows(owners[bucket], [bucket])
            owners[bucket] = target
            if dice.random() < 0.5:
                await tell(target, untold.pop(bucket))
    assert moves == 40 if batch < 1000 else moves >= 4
    assert sorted(seen) == sorted(USERS)


async def test_a_rebuild_and_a_comparison_during_moves_miss_nobody(
    movable: LocalCluster, quiet: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.relay._REBUILD_BATCH", 5)
    monkeypatch.setattr("service.verify_ranks._BATCH", 5)
    await record(quiet, USERS, 10)
    expected = await board_of_shards(movable)
    moving = True
    moves = 0

    async def move() -> None:
        nonlocal moves
        places = movable.shards
        while moving:
            await switch(places[moves % 4], places[(moves + 1) % 4], BUCKETS)
            moves += 1

    mover = asyncio.create_task(move())
    try:
        for _ in range(4):
            async with Redis.from_url(movable.redis_url) as redis:
                await redis.flushall()
            before = moves
            assert await rebuild_ranks(quiet) == len(USERS)
            assert await board_of_redis(movable) == expected
            verified = await verify_ranks(quiet)
            assert (verified.standings, verified.differences) == (len(USERS), [])
            await until(lambda before=before: moves > before)  # type: ignore[misc]
    finally:
        moving = False
        await mover


async def test_a_rebuild_says_when_a_bucket_has_no_owner_for_too_long(
    movable: LocalCluster, quiet: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def claim_nothing(*_: object) -> None:
        """As where the target cannot be told."""

    monkeypatch.setattr("sharding.members.claim_buckets", claim_nothing)
    await hand_over(movable.shards[0], movable.shards[1], BUCKETS)
    with pytest.raises(Unavailable, match="Players' data kept being moved between shards"):
        await rebuild_ranks(quiet)


async def test_a_scan_of_buckets_of_others_says_so(movable: LocalCluster, quiet: Parts) -> None:
    await record(quiet, MOVING, 10)
    postgres = quiet.router.shards["shard1"].postgres
    assert await scan_rows(postgres, [*BUCKETS, 4095], (-1, 0), 10) is None
    rows, place = await scan_rows(postgres, BUCKETS[:3], (-1, -(2**63)), 2) or ([], None)
    assert [bucket_of(row.user_id) for row in rows] == BUCKETS[:2]
    assert place == (BUCKETS[1], rows[1].user_id)
    rows, place = await scan_rows(postgres, BUCKETS[:3], place, 2) or ([], None)
    assert ([bucket_of(row.user_id) for row in rows], place) == ([BUCKETS[2]], None)


async def test_ranks_by_sql_are_exact_at_every_moment_of_a_switch(movable: LocalCluster, quiet: Parts) -> None:
    """The ranks of all, asked for again and again while buckets go round; the target holds their rows before it owns
    them, and the source after."""
    await record(quiet, USERS, 10)
    standings = plain.standings(await board_of_shards(movable))
    expected = {standing.user_id: standing for standing in standings}
    asking = True
    asked = 0

    async def ask() -> None:
        nonlocal asked
        dice = random.Random(1)
        while asking:
            users = dice.sample(USERS, 10)
            assert await quiet.sql_ranks.standings(users) == [expected[user] for user in users]
            page = await quiet.sql_ranks.page(20, None)
            assert (list(page.standings), page.total_count) == (standings[:20], len(USERS))
            index = dice.randrange(10, 60)
            around = await quiet.sql_ranks.around(standings[index].user_id, 5)
            assert around == standings[index - 5 : index + 6]
            asked += 1

    asker = asyncio.create_task(ask())
    try:
        for number in range(12):
            source, target = movable.shards[number % 4], movable.shards[(number + 1) % 4]
            before = asked
            await copy_rows(source, target, BUCKETS)
            await until(lambda before=before: asked > before or asker.done())  # type: ignore[misc]
            epochs = await hand_over(source, target, BUCKETS)
            if number % 2:
                await tell(target, epochs)
            before = asked
            await until(lambda before=before: asked > before or asker.done())  # type: ignore[misc]
            await drop_rows(source, BUCKETS)
    finally:
        asking = False
        await asker


async def test_sql_ranks_wait_for_a_bucket_on_its_way_and_give_up_in_time(
    movable: LocalCluster, quiet: Parts, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = 0

    async def claim_nothing(postgres: Postgres, _: object) -> None:
        nonlocal told
        told += 1

    monkeypatch.setattr("sharding.members.claim_buckets", claim_nothing)
    await record(quiet, USERS, 10)
    standings: list[Standing] = plain.standings(await board_of_shards(movable))
    source, target = movable.shards[:2]
    epochs = await hand_over(source, target, BUCKETS)
    waiting = asyncio.create_task(quiet.sql_ranks.page(5, None))
    await until(lambda: told > 3)
    assert not waiting.done()
    await tell(target, epochs)
    assert list((await waiting).standings) == standings[:5]

    await hand_over(target, source, BUCKETS)
    with pytest.raises(Unavailable, match="Players' data kept being moved between shards"):
        await quiet.sql_ranks.page(5, None)


async def test_a_worker_runs_for_every_shard_there_is(movable: LocalCluster, quiet: Parts) -> None:
    running: list[str] = []

    async def work(shard: Shard) -> None:
        running.append(shard.name)
        try:
            await asyncio.Event().wait()
        finally:
            running.remove(shard.name)

    router = quiet.router
    workers = ShardWorkers(router, work)
    workers.start()
    await until(lambda: sorted(running) == ["shard1", "shard2", "shard3", "shard4"])
    all_, fewer = router.shards, dict(list(router.shards.items())[1:])
    for shards, names in ((fewer, sorted(fewer)), (all_, sorted(all_))):
        router.shards = shards
        for watcher in router._watchers:
            watcher()
        await until(lambda names=names: sorted(running) == names)  # type: ignore[misc]
    await workers.close()
    assert running == []
    assert router._watchers == []


async def test_a_relay_begins_with_a_shard_that_was_added(movable: LocalCluster) -> None:
    """A process that was told of one shard finds the others, and looks after them."""
    async with opened_parts(movable, background=False) as parts:
        await renew_ranks(parts)
        await record(parts, USERS, 5)
    one = movable.shards[0]
    async with opened_parts(movable, shards=[{"name": one.name, "url": one.url, "direct_url": one.direct_url}]):
        await until_equal(movable)
