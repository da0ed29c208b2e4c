"""Reads from replicas: as long as one is fresh, and never from before what this process acknowledged."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from db.directory import DirectoryEntry
from infra.local.cluster import LocalCluster
from service.parts import Parts
from service.prepare import migrate_shards
from sharding.placement import bucket_of
from sharding.router import Router
from tests.factories import make_submission, opened_parts, users_of_shard
from tests.sharding.replicated import hanging, looking_router, on_replica, standing_still, states_of
from tests.sharding.routers import history_of, switch
from tests.waiting import until

MINE = users_of_shard(1, 20, shard_count=2)


@pytest.fixture(scope="module")
async def replicated() -> AsyncIterator[LocalCluster]:
    """2 migrated shards, each with a replica."""
    directory = Path(tempfile.mkdtemp(prefix="shardboard-"))
    async with LocalCluster(directory / "data", 2, replica_count=1, announce=print).running() as cluster:
        shards = [DirectoryEntry(shard.name, shard.url, shard.direct_url) for shard in cluster.shards]
        for shard in await migrate_shards(shards, back_days=30, months_ahead=1):
            assert shard.error is None
        yield cluster
    shutil.rmtree(directory)


async def test_a_process_shows_its_own_writes_at_once_and_those_of_others_within_the_bound(
    replicated: LocalCluster,
) -> None:
    user = MINE[0]
    async with (
        looking_router(replicated, replica_lag_seconds_max=2) as writer,
        looking_router(replicated, replica_lag_seconds_max=2) as other,
    ):
        await writer.record(make_submission(user, 1))
        await until(lambda: _has(other, user, ([1], 1)))
        async with standing_still(replicated):
            await writer.record(make_submission(user, 2))
            written_at = time.monotonic()
            assert await history_of(writer, user) == ([2, 1], 2)
            # From the replica, which has not replayed it; then it is late, and left out.
            assert await history_of(other, user) == ([1], 1)
            await until(lambda: _has(other, user, ([2, 1], 2)))
            assert time.monotonic() - written_at < 2 + 1.5
            await until(lambda: "it is behind by" in (states_of(other)[0].why_not or ""))
        for router in (writer, other):
            await until(lambda router=router: all(s.is_used for s in states_of(router)))  # type: ignore[misc]
        assert await history_of(other, user) == ([2, 1], 2)


async def test_an_idle_replica_lags_by_nothing(replicated: LocalCluster) -> None:
    async with looking_router(replicated, replica_lag_seconds_max=0.3) as router, on_replica(replicated, 1) as replica:
        await replica.execute("select pg_sleep(1.5)")

        async def is_used_while_idle() -> bool:
            """Though the last that it replayed is older by far."""
            is_idle = await replica.fetchval("select now() - pg_last_xact_replay_timestamp() > interval '1.4 s'")
            return is_idle and all(state.is_used and (state.lag_s or 0) < 0.25 for state in states_of(router))

        await until(is_used_while_idle)


async def test_a_bucket_that_went_and_came_back_is_never_shown_as_it_was_before(replicated: LocalCluster) -> None:
    user = MINE[1]
    one, two = replicated.shards
    async with (
        looking_router(replicated, replica_lag_seconds_max=30) as writer,
        looking_router(replicated, replica_lag_seconds_max=30) as other,
    ):
        await writer.record(make_submission(user, 1))
        await until(lambda: _has(other, user, ([1], 1)))
        async with standing_still(replicated):
            # The first shard's replica does not know that the bucket has gone, the second's not that it came.
            await switch(one, two, [bucket_of(user)])
            await writer.record(make_submission(user, 2))
            assert await history_of(writer, user) == ([2, 1], 2)
            await other.refresh()
            assert await history_of(other, user) == ([2, 1], 2)
            await switch(two, one, [bucket_of(user)])
            await writer.record(make_submission(user, 3))
            assert await history_of(writer, user) == ([3, 2, 1], 3)
            # Who wrote nothing may be shown what held within the bound.
            await other.refresh()
            assert await history_of(other, user) == ([1], 1)
        await until(lambda: _has(other, user, ([3, 2, 1], 3)))


async def test_a_dead_replica_costs_no_answer_and_comes_back_by_itself(replicated: LocalCluster) -> None:
    user = MINE[2]
    async with looking_router(replicated) as router:
        await router.record(make_submission(user, 1))
        await until(lambda: states_of(router)[0].is_used)
        replica = replicated.child("replica", 1)
        await replica.stop()
        try:
            async with asyncio.timeout(15):
                while states_of(router)[0].is_used:
                    assert await history_of(router, user) == ([1], 1)
                    await asyncio.sleep(0)
            assert "it does not answer" in (states_of(router)[0].why_not or "")
            assert states_of(router)[1].is_used
        finally:
            await replica.start()
        await until(lambda: states_of(router)[0].is_used)
        assert await history_of(router, user) == ([1], 1)


async def test_a_hanging_replica_costs_a_request_a_fraction_of_a_second(replicated: LocalCluster) -> None:
    user = MINE[3]
    async with looking_router(replicated, replica_lag_seconds_max=60) as router:
        await router.record(make_submission(user, 1))
        await until(lambda: _fresh(router, user))
        with hanging(replicated.child("replica", 1)):
            began_at = time.monotonic()
            answers = await asyncio.gather(*(history_of(router, user) for _ in range(20)))
            assert answers == [([1], 1)] * 20
            assert time.monotonic() - began_at < 0.25 + 0.35
            assert not states_of(router)[0].is_used
            assert await history_of(router, user) == ([1], 1)
        await until(lambda: states_of(router)[0].is_used)


async def test_deep_pages_of_sql_come_from_replicas_and_say_of_when_they_are(replicated: LocalCluster) -> None:
    async with opened_parts(replicated, redis_url="redis://127.0.0.1:1/0", replica_lag_seconds_max=30) as parts:
        router = parts.router
        await until(lambda: all(state.is_used for state in states_of(router)))
        for number, user in enumerate(MINE[10:14]):
            await router.record(make_submission(user, 1000 * (4 - number)))
        place = (3000, MINE[11])
        deep = (MINE[12], 2000, 3)
        await until(lambda: _deep_page_begins(parts, place, deep))
        async with standing_still(replicated):
            await router.record(make_submission(MINE[12], 500))
            paused_at = time.time()
            page = await parts.sql_ranks.page(1, place)
            assert [(s.user_id, s.total_score, s.rank) for s in page.standings] == [deep]
            assert page.as_of.timestamp() <= paused_at
            top = await parts.sql_ranks.page(3, None)
            assert [s.total_score for s in top.standings] == [4000, 3000, 2500]
        await until(lambda: _deep_page_begins(parts, place, (MINE[12], 2500, 3)))


async def test_a_promoted_one_is_left_out_for_good(replicated: LocalCluster) -> None:
    """The last test here: the replica is none any more."""
    child = replicated.child("replica", 2)
    async with looking_router(replicated) as router:
        async with on_replica(replicated, 2) as connection:
            assert await connection.fetchval("select pg_promote(true, 30)")
            await connection.execute("checkpoint")
        await until(lambda: "it follows nobody" in (states_of(router)[1].why_not or ""))
        # As somebody would who wants to take it back.
        await child.stop()
        signal = replicated.data / "shard2" / "replica1" / "postgres" / "standby.signal"
        signal.touch()
        shutil.chown(signal, signal.parent.stat().st_uid, signal.parent.stat().st_gid)
        await child.start()
        await until(lambda: "it went its own way" in (states_of(router)[1].why_not or ""))
        assert states_of(router)[0].is_used


async def _has(router: Router, user: int, expected: tuple[list[int], int]) -> bool:
    return await history_of(router, user) == expected


async def _fresh(router: Router, user: int) -> bool:
    return router.shards["shard1"].replicas.choose(user) is not None


async def _deep_page_begins(parts: Parts, place: tuple[int, int], expected: tuple[int, int, int]) -> bool:
    page = await parts.sql_ranks.page(1, place)
    return [(s.user_id, s.total_score, s.rank) for s in page.standings] == [expected]
