"""`shardboard sessions`: months are made ahead; old ones go, and take no total with them."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from db.partitions import Month
from infra.local.cluster import LocalCluster
from tests.cli.shell import query, ranked_rows, shardboard
from tests.db.shards import connected
from tests.waiting import until

NOW = Month.of(datetime.now(UTC))
BACK = Month.of(datetime.now(UTC) - timedelta(days=30))
_MONTHS = "select inhrelid::regclass::text from pg_inherits where inhparent = 'game_sessions'::regclass"
_PENDING = "select count(*) from pg_inherits where inhparent = 'game_sessions'::regclass and inhdetachpending"


@pytest.fixture
async def old(forgetful: LocalCluster) -> LocalCluster:
    """Three years of sessions, until the end of 2023."""
    done = await shardboard(forgetful, "seed", "--players", 60, "--days", 90, "--until", "2024-01-01")
    assert done.code == 0, done.err
    return forgetful


async def months_of(url: str) -> set[str]:
    async with connected(url) as connection:
        return {row[0].removeprefix("game_sessions_") for row in await connection.fetch(_MONTHS)}


async def test_months_are_made_ahead_and_listed(clean: LocalCluster) -> None:
    done = await shardboard(clean, "sessions", "partitions", "--ahead", 7, "--json")
    assert done.code == 0
    assert [shard["shard"] for shard in done.json] == [shard.name for shard in clean.shards]
    for shard in done.json:
        listed = [month["month"] for month in shard["months"]]
        assert listed == sorted(listed)
        assert {str(NOW.plus(months)) for months in range(8)} | {str(BACK)} <= set(listed)
    again = await shardboard(clean, "sessions", "partitions", "--ahead", 7, "--json")
    assert not any(month["made_now"] for shard in again.json for month in shard["months"])


async def test_pruning_drops_months_and_changes_no_standing(old: LocalCluster) -> None:
    ranked = await ranked_rows(old)
    standings = await query(old, "select * from leaderboard order by user_id")
    dry = await shardboard(old, "sessions", "prune", "--before", "2023-12", "--dry-run", "--json")
    assert (dry.code, dry.json["dry_run"]) == (0, True)
    assert {"2023-10", "2023-11"} <= set(dry.json["shards"][0]["months"])
    assert "2023_10" in await months_of(old.shards[0].direct_url)
    assert await query(old, "select pruned_before from shard_info") == [(None,)] * 4

    done = await shardboard(old, "sessions", "prune", "--before", "2023-12", "--json")
    assert done.code == 0
    assert done.json["shards"] == dry.json["shards"]
    for shard in old.shards:
        assert min(await months_of(shard.direct_url)) == "2023_12"
    assert await query(old, "select pruned_before from shard_info") == [(datetime(2023, 12, 1, tzinfo=UTC),)] * 4
    assert await query(old, "select to_regclass('game_sessions_2023_11')") == [(None,)] * 4
    assert await query(old, "select * from leaderboard order by user_id") == standings
    assert await ranked_rows(old) == ranked
    assert (await shardboard(old, "ranks", "verify")).code == 0

    nothing = await shardboard(old, "sessions", "prune", "--before", "2023-12")
    assert (nothing.code, nothing.out) == (0, "there are no sessions before 2023-12\n")
    exported = await shardboard(old, "export")
    assert exported.err.startswith("sessions before 2023-12-01 were pruned: they are not in the file")
    seeded = await shardboard(old, "seed", "--first-id", 1000, "--days", 90, "--until", "2024-01-01")
    assert seeded.code == 1
    assert "sessions before 2023-12-01 were pruned" in seeded.err


async def test_months_that_submissions_may_fall_into_are_kept(forgetful: LocalCluster) -> None:
    before = await months_of(forgetful.shards[0].direct_url)
    done = await shardboard(forgetful, "sessions", "prune", "--before", BACK.plus(1))
    assert (done.code, done.out) == (1, "")
    assert done.err == (
        "shardboard: submissions may be up to 30 days old (SHARDBOARD_ID_WINDOW_BACK_DAYS), so months from "
        f"{BACK} on are needed; --before {BACK} is the latest that works. Nothing was done.\n"
    )
    assert await months_of(forgetful.shards[0].direct_url) == before
    assert await query(forgetful, "select pruned_before from shard_info") == [(None,)] * 4


async def test_a_prune_that_was_killed_is_finished_by_the_next(old: LocalCluster) -> None:
    """One shard stopped in the middle of a detach, another between a detach and its drop."""
    half, detached = old.shards[0].direct_url, old.shards[1].direct_url
    async with connected(half) as reader, connected(half) as pruner, reader.transaction():
        # A detach that waits for a reader, and whose process goes away meanwhile.
        await reader.fetch("select 1 from game_sessions limit 1")
        detaching = asyncio.create_task(
            pruner.execute("alter table game_sessions detach partition game_sessions_2023_11 concurrently")
        )

        async def is_pending() -> bool:
            async with connected(half) as watcher:
                return bool(await watcher.fetchval(_PENDING))

        await until(is_pending)
        pid = pruner.get_server_pid()
        async with connected(half) as killer:
            await killer.execute("select pg_terminate_backend($1)", pid)
        with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, OSError)):
            await detaching
    async with connected(detached) as connection:
        await connection.execute("alter table game_sessions detach partition game_sessions_2023_10 concurrently")
    assert await query(old, _PENDING) == [(1,), (0,), (0,), (0,)]

    done = await shardboard(old, "sessions", "prune", "--before", "2023-12")
    assert done.code == 0, done.err
    assert "shard1: finishing 2023-11" in done.err
    assert "shard2: dropping 2023-10, which was detached before" in done.err
    for shard in old.shards:
        assert min(await months_of(shard.direct_url)) == "2023_12"
    for month in ("2023_10", "2023_11"):
        assert await query(old, f"select to_regclass('game_sessions_{month}')") == [(None,)] * 4
    assert (await shardboard(old, "ranks", "verify")).code == 0
