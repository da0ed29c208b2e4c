"""What every integration test stands on: one running cluster for the whole session, empty at the start of each test."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import asyncpg
import pytest
from redis.asyncio import Redis

from db.directory import DirectoryEntry
from infra.local.cluster import LocalCluster
from infra.local.together import together
from service.prepare import migrate_shards

MakeCluster = Callable[..., AbstractAsyncContextManager[LocalCluster]]

# What describes the cluster itself and outlives a test; everything else is data and goes.
_KEPT_TABLES = ("alembic_version", "boards", "bucket_owner", "shard_directory", "shard_info")


@pytest.fixture(scope="session")
def session_directory() -> Iterator[Path]:
    """A directory for the session's cluster; short, so that unix sockets fit into it."""
    directory = Path(tempfile.mkdtemp(prefix="shardboard-"))
    yield directory
    shutil.rmtree(directory)


@pytest.fixture(scope="session")
async def cluster(session_directory: Path) -> AsyncIterator[LocalCluster]:
    """4 migrated shards, each behind its PgBouncer, and Valkey. A test that breaks a part gets it back by itself."""
    async with LocalCluster(session_directory / "data", 4, announce=print).running() as running:
        await _migrate(running)
        yield running


@pytest.fixture
async def clean(cluster: LocalCluster) -> LocalCluster:
    """The session's cluster with every part up, no data on any shard and an empty Valkey."""
    async with asyncio.timeout(30):
        for child in cluster.children:
            await child.until_ready()
        await together(_empty_shard(shard.direct_url) for shard in cluster.shards)
        # Last, or a relay that is still at work would build ranks of rows that are about to go.
        await _empty_redis(cluster.redis_url)
    return cluster


@pytest.fixture
def make_cluster() -> Iterator[MakeCluster]:
    """Starts throwaway clusters: `async with make_cluster(shard_count=2) as cluster:`, without migrations.

    `data` starts one on a directory that is kept from an earlier start.
    """
    made: list[Path] = []

    @asynccontextmanager
    async def make(shard_count: int = 1, data: Path | None = None) -> AsyncIterator[LocalCluster]:
        if data is None:
            made.append(Path(tempfile.mkdtemp(prefix="shardboard-")))
            data = made[-1] / "data"
        async with LocalCluster(data, shard_count, announce=print).running() as running:
            yield running

    yield make
    for directory in made:
        shutil.rmtree(directory)


async def _migrate(cluster: LocalCluster) -> None:
    shards = [DirectoryEntry(shard.name, shard.url, shard.direct_url) for shard in cluster.shards]
    for shard in await migrate_shards(shards, back_days=30, months_ahead=3):
        if shard.error is not None:
            raise shard.error


async def _empty_shard(direct_url: str) -> None:
    connection = await asyncpg.connect(direct_url, timeout=5)
    try:
        tables = await connection.fetchval(
            """
            select string_agg(format('%I', c.relname), ', ')
            from pg_class as c
            where c.relnamespace = 'public'::regnamespace
                and c.relkind in ('r', 'p') and not c.relispartition
                and c.relname <> all ($1::text[])
            """,
            _KEPT_TABLES,
        )
        # A transaction that a test left open must show itself, not hang the next test.
        await connection.execute(f"set lock_timeout = '5s'; truncate {tables}")
    finally:
        await connection.close()


async def _empty_redis(url: str) -> None:
    async with Redis.from_url(url) as redis:
        await redis.flushall()
