"""One shard that owns every bucket, on the wheel's PostgreSQL and once more on the system's own."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from db.directory import DirectoryEntry
from db.postgres import Postgres
from infra.local.binaries import postgres_major
from infra.local.cluster import LocalCluster
from infra.local.cluster_file import ShardUrls
from service.prepare import migrate_shards
from tests.db.shards import connected

OLDEST_MAJOR = 15


def find_system_postgres() -> Path | None:
    """The oldest of the system's own installations that the service supports."""
    found = {
        postgres_major(program.parent): program.parent for program in Path("/usr/lib/postgresql").glob("*/bin/postgres")
    }
    return min(((major, path) for major, path in found.items() if major >= OLDEST_MAJOR), default=(0, None))[1]


@pytest.fixture(scope="session", params=["wheel", "system"])
def postgres_bin(request: pytest.FixtureRequest) -> Path | None:
    """The PostgreSQL that the tests of this run use; None: the wheel's."""
    if request.param == "wheel":
        return None
    found = find_system_postgres()
    if found is None:
        pytest.skip(f"the system has no PostgreSQL {OLDEST_MAJOR} or newer of its own in /usr/lib/postgresql")
    return found


@pytest.fixture(scope="session")
async def server(postgres_bin: Path | None) -> AsyncIterator[LocalCluster]:
    """A cluster of one shard, migrated, with partitions."""
    directory = Path(tempfile.mkdtemp(prefix="shardboard-"))
    async with AsyncExitStack() as stack:
        # For the start of this one alone: clusters of other tests are the wheel's.
        with pytest.MonkeyPatch.context() as patch:
            if postgres_bin is not None:
                patch.setenv("PG_BIN", str(postgres_bin))
            starting = LocalCluster(directory / "data", 1, announce=print).running()
            cluster = await stack.enter_async_context(starting)
        (shard,) = cluster.shards
        (prepared,) = await migrate_shards(
            [DirectoryEntry(shard.name, shard.url, shard.direct_url)], back_days=60, months_ahead=3
        )
        assert prepared.error is None
        yield cluster
    shutil.rmtree(directory)


@pytest.fixture
async def shard(server: LocalCluster) -> ShardUrls:
    """The shard's addresses; it holds no data."""
    (shard,) = server.shards
    async with connected(shard.direct_url) as connection:
        await connection.execute("set lock_timeout = '5s'; truncate game_sessions, leaderboard, players")
        await connection.execute("update bucket_owner set state = 'owned' where state <> 'owned'")
    return shard


@pytest.fixture
async def postgres(shard: ShardUrls) -> AsyncIterator[Postgres]:
    """The shard through its PgBouncer, without data."""
    postgres = Postgres(shard.name, shard.url)
    yield postgres
    await postgres.close()
