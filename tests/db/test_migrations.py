from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from secrets import token_hex
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, make_url
from sqlalchemy.ext.asyncio import create_async_engine

from db.migrate import Migrated, migrate
from db.schema import alembic_config, newest_revision
from db.tables import metadata
from domain.errors import OperatorError, Unavailable
from infra.local.cluster import LocalCluster
from infra.local.cluster_file import ShardUrls
from tests.db.shards import connected, contents

MIGRATOR_LOCK = 0x5348_4D47

# Everything of the tables that a catalog knows and a name does not tell: types, nullability, defaults, the text of
# every constraint and index, storage options, partitioning.
CATALOG = {
    "columns": """
        select c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, pg_get_expr(d.adbin, d.adrelid)
        from pg_class as c
        join pg_attribute as a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
        left join pg_attrdef as d on d.adrelid = c.oid and d.adnum = a.attnum
        where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition
        order by 1, a.attnum
    """,
    "constraints": """
        select c.relname, o.conname, pg_get_constraintdef(o.oid)
        from pg_constraint as o
        join pg_class as c on c.oid = o.conrelid
        where c.relnamespace = 'public'::regnamespace and not c.relispartition and o.contype <> 'n'
        order by 1, 2
    """,
    "indexes": """
        select c.relname, i.relname, pg_get_indexdef(i.oid)
        from pg_index as x
        join pg_class as c on c.oid = x.indrelid
        join pg_class as i on i.oid = x.indexrelid
        where c.relnamespace = 'public'::regnamespace and not c.relispartition
        order by 1, 2
    """,
    "partitioning": """
        select c.relname, pg_get_partkeydef(c.oid)
        from pg_class as c
        where c.relnamespace = 'public'::regnamespace and c.relkind = 'p'
    """,
}


@asynccontextmanager
async def made_database(server: LocalCluster) -> AsyncIterator[str]:
    """The address of an empty database beside the shard's own."""
    url = make_url(server.shards[0].direct_url)
    superuser = url.set(username="postgres", password=server.identity.superuser_password)
    name = f"empty_{token_hex(4)}"
    async with connected(superuser.render_as_string(hide_password=False)) as connection:
        await connection.execute(f"create database {name} owner {url.username}")
        try:
            yield url.set(database=name).render_as_string(hide_password=False)
        finally:
            await connection.execute(f"drop database {name} with (force)")


async def catalog_of(url: str) -> dict[str, list[tuple[Any, ...]]]:
    async with connected(url) as connection:
        return {
            name: [tuple(row) for row in await connection.fetch(query) if row[0] != "alembic_version"]
            for name, query in CATALOG.items()
        }


async def run_sync(url: str, work: Any) -> Any:
    engine = create_async_engine(make_url(url).set(drivername="postgresql+asyncpg"))
    try:
        async with engine.begin() as connection:
            return await connection.run_sync(work)
    finally:
        await engine.dispose()


async def test_the_migrations_add_up_to_the_tables(server: LocalCluster) -> None:
    async with made_database(server) as migrated, made_database(server) as created:
        await migrate("shard1", migrated)
        await run_sync(created, metadata.create_all)
        ours = await catalog_of(migrated)
        assert ours == await catalog_of(created)
        assert {table for table, *_ in ours["columns"]} == set(metadata.tables)


@pytest.mark.filterwarnings("ignore:Did not recognize type .xid8.")
async def test_alembic_finds_no_difference(server: LocalCluster) -> None:
    def compare(connection: Connection) -> Any:
        return compare_metadata(MigrationContext.configure(connection, opts={"compare_type": True}), metadata)

    async with made_database(server) as url:
        await migrate("shard1", url)
        assert [d for d in await run_sync(url, compare) if "alembic_version" not in str(d)] == []


async def test_a_shard_of_the_first_schema_keeps_what_it_holds(server: LocalCluster) -> None:
    def first_only(connection: Connection) -> None:
        config = alembic_config()
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")

    async with made_database(server) as old, made_database(server) as new:
        await run_sync(old, first_only)
        async with connected(old) as connection:
            await connection.execute(
                """
                insert into shard_info (singleton, name, incarnation) values (1, 'shard1', gen_random_uuid());
                insert into bucket_owner values (5, 'owned', 1), (6, 'frozen', 3);
                insert into players values (5, 7, 'Ada', now());
                insert into leaderboard values (5, 1, 7, 100, 1, now(), 1, pg_current_xact_id());
                """
            )
            asked = (
                "select singleton, name, incarnation, pruned_before from shard_info",
                "select * from players",
                "select * from leaderboard",
            )
            before = [await connection.fetch(each) for each in asked]
        assert (await migrate("shard1", old, contract=True)).before == "0001"
        await migrate("shard1", new)
        assert await catalog_of(old) == await catalog_of(new)
        async with connected(old) as connection:
            assert [await connection.fetch(each) for each in asked] == before
            assert [tuple(row) for row in await connection.fetch("select * from bucket_owner order by 1")] == [
                (5, "owned", 1, None),
                (6, "frozen", 3, None),
            ]


async def test_migrating_again_changes_nothing(server: LocalCluster, shard: ShardUrls) -> None:
    async with made_database(server) as url:
        assert (await migrate("shard1", url)).before is None
        catalog = await catalog_of(url)
        async with connected(url) as connection:
            info = await connection.fetch("select * from shard_info")
            assert await migrate("shard1", url) == Migrated(newest_revision(), newest_revision())
            assert await connection.fetch("select * from shard_info") == info
        assert await catalog_of(url) == catalog


async def test_concurrent_migrators_take_turns(server: LocalCluster) -> None:
    program = (
        "import asyncio, sys; from db.migrate import migrate; print(asyncio.run(migrate('shard1', sys.argv[1])).before)"
    )
    async with made_database(server) as url:
        processes = [
            await asyncio.create_subprocess_exec(sys.executable, "-c", program, url, stdout=asyncio.subprocess.PIPE)
            for _ in range(3)
        ]
        shown = sorted([(await process.communicate())[0].decode().strip() for process in processes])
        assert [process.returncode for process in processes] == [0, 0, 0]
        assert shown == [newest_revision(), newest_revision(), "None"]


async def test_a_migrator_that_never_ends_does_not_hold_up_the_next_for_ever(
    server: LocalCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("db.migrator_lock.MIGRATOR_S_MAX", 0.3)
    async with made_database(server) as url, connected(url) as other:
        async with other.transaction():
            await other.execute("set application_name = 'shardboard migrate ops@elsewhere'")
            await other.execute("select pg_advisory_xact_lock($1)", MIGRATOR_LOCK)
            with pytest.raises(
                OperatorError, match="Shard shard1 is being migrated by shardboard migrate ops@elsewhere"
            ):
                await migrate("shard1", url)
            assert await other.fetchval("select count(*) from pg_class where relname = 'shard_info'") == 0
        assert (await migrate("shard1", url)).before is None


async def test_an_address_that_leads_to_another_shard_is_refused(server: LocalCluster, shard: ShardUrls) -> None:
    before = await contents(shard.direct_url)
    with pytest.raises(OperatorError, match="The address of shard 'shard2' leads to the shard 'shard1'"):
        await migrate("shard2", shard.direct_url)
    assert await contents(shard.direct_url) == before
    async with connected(shard.direct_url) as connection:
        assert [row["name"] for row in await connection.fetch("select name from shard_info")] == ["shard1"]


async def test_a_server_that_is_not_there_is_reported(unused_tcp_port: int) -> None:
    with pytest.raises(Unavailable, match="Shard shard1 does not answer"):
        await migrate("shard1", f"postgresql://shardboard:x@127.0.0.1:{unused_tcp_port}/shardboard")
