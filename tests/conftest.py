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
from xdist.scheduler import LoadFileScheduling

from db.directory import DirectoryEntry
from infra.local.cluster import LocalCluster
from infra.local.together import together
from service.prepare import migrate_shards
from sharding.reshard.fleet import Fleet
from tests.sharding.reshard.fleets import opened_fleet, take_moves_away

MakeCluster = Callable[..., AbstractAsyncContextManager[LocalCluster]]

# What describes the cluster itself and outlives a test; everything else is data and goes.
_KEPT_TABLES = ("alembic_version", "boards", "bucket_owner", "shard_directory", "shard_info")
# What takes most of a machine for a minute or more: never two of them at once, and first, so that none ends alone.
_HEAVY = ("tests/chaos/", "tests/app/test_restart.py", "tests/acceptance/test_overload.py")


class _Files(LoadFileScheduling):  # type: ignore[misc]  # xdist tells no types
    """Gives files to workers whole, and all that is heavy to one."""

    def _split_scope(self, nodeid: str) -> str:
        return "heavy" if nodeid.startswith(_HEAVY) else super()._split_scope(nodeid)


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> _Files:
    return _Files(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: not item.nodeid.startswith(_HEAVY))


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
async def movable(clean: LocalCluster) -> AsyncIterator[LocalCluster]:
    """The session's cluster without data; whatever a test leaves of its moves of buckets is taken away."""
    yield clean
    await take_moves_away(clean)


@pytest.fixture
async def fleet(clean: LocalCluster) -> AsyncIterator[Fleet]:
    """The shards as an operator's commands reach them."""
    async with opened_fleet(clean) as fleet:
        yield fleet


@pytest.fixture
def make_cluster() -> Iterator[MakeCluster]:
    """Starts throwaway clusters: `async with make_cluster(shard_count=2) as cluster:`, without migrations.

    `data` starts one on a directory that is kept from an earlier start.
    """
    made: list[Path] = []

    @asynccontextmanager
    async def make(
        shard_count: int = 1, data: Path | None = None, replica_count: int | None = None
    ) -> AsyncIterator[LocalCluster]:
        if data is None:
            made.append(Path(tempfile.mkdtemp(prefix="shardboard-")))
            data = made[-1] / "data"
        async with LocalCluster(data, shard_count, replica_count=replica_count, announce=print).running() as running:
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
