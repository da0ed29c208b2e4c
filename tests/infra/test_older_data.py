"""A DATA directory that was made before the service had a role of its own."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from alembic import command
from sqlalchemy import Connection, make_url
from sqlalchemy.ext.asyncio import create_async_engine

from db.directory import DirectoryEntry, read_directory
from db.partitions import Month
from db.schema import alembic_config, newest_revision
from infra.local.cluster import LocalCluster
from infra.local.postgres import OWNER, SERVICE_ROLE
from service.prepare import migrate_shards
from sharding.placement import bucket_of, deal_out
from tests.conftest import MakeCluster
from tests.db.shards import connected
from tests.factories import make_submission
from tests.sharding.routers import history_of, opened_direct, opened_router, totals

ADA = 7


async def make_older(cluster: LocalCluster) -> None:
    """Two shards as they were: at schema 0002, one role that owns the tables and serves; Ada has played once."""

    def to_older_schema(connection: Connection) -> None:
        config = alembic_config()
        config.attributes["connection"] = connection
        command.upgrade(config, "0002")

    for shard, buckets in zip(cluster.shards, deal_out(2), strict=True):
        engine = create_async_engine(make_url(shard.direct_url).set(drivername="postgresql+asyncpg"))
        async with engine.begin() as owner:
            await owner.run_sync(to_older_schema)
        await engine.dispose()
        async with connected(shard.direct_url) as connection:
            await connection.execute("insert into shard_info values (1, $1, gen_random_uuid())", shard.name)
            await connection.execute(
                "insert into bucket_owner select b, 'owned', 1 from unnest($1::int[]) as b", list(buckets)
            )
            for known in cluster.shards:
                # All traffic went through PgBouncer as the owner.
                url = make_url(known.url).set(username=OWNER, password=cluster.identity.shard_password)
                await connection.execute(
                    "insert into shard_directory values ($1, $2, $3, false, null, 1)",
                    *(known.name, url.render_as_string(hide_password=False), known.direct_url),
                )
            if bucket_of(ADA) in buckets:
                month = Month.of(datetime.now(UTC))
                low, high = (UUID(int=int(m.start.timestamp() * 1000) << 80) for m in (month, month.plus(1)))
                await connection.execute(
                    f"create table {month.partition} partition of game_sessions for values from ('{low}') to ('{high}')"
                )
                ada = make_submission(ADA, 100)
                await connection.execute(
                    "select record_sessions($1, $2, $3, $4, $5, $6, $7, $8, $9, true)",
                    *([ada.id], [ada.id.int >> 80], [bucket_of(ADA)], [ADA], ["Ada"], [100], [None], [None], [1]),
                )
        superuser = make_url(shard.direct_url).set(username="postgres", password=cluster.identity.superuser_password)
        async with connected(superuser.render_as_string(hide_password=False)) as connection:
            await connection.execute(f"drop role {SERVICE_ROLE}")


def forget_service_password(data: Path) -> dict[str, Any]:
    """Make DATA/identity.json one of before; gives what it says then."""
    path = data / "identity.json"
    identity: dict[str, Any] = json.loads(path.read_text())
    del identity["service_password"]
    path.write_text(json.dumps(identity))
    return identity


async def test_it_starts_and_works_and_has_lost_nothing(make_cluster: MakeCluster, tmp_path: Path) -> None:
    data = tmp_path / "data"
    async with make_cluster(shard_count=2, data=data) as cluster:
        await make_older(cluster)
    before = forget_service_password(data)

    async with make_cluster(shard_count=2, data=data) as cluster:
        kept = json.loads((data / "identity.json").read_text())
        password = kept.pop("service_password")
        assert kept == before
        assert len(password) == 32
        assert password not in before.values()
        shards = [DirectoryEntry(shard.name, shard.url, shard.direct_url) for shard in cluster.shards]
        prepared = await migrate_shards(shards, back_days=30, months_ahead=3)
        assert [(each.before, each.error, each.warnings) for each in prepared] == [("0002", None, [])] * 2
        async with opened_router(cluster) as router:
            await router.record(make_submission(ADA, 11))
            await router.record(make_submission(8, 5))
            assert await history_of(router, ADA) == ([11, 100], 2)
        assert await totals(cluster) == {ADA: (111, 2), 8: (5, 1)}
        async with opened_direct(*cluster.shards) as postgreses:
            for postgres in postgreses:
                known = sorted(await read_directory(postgres), key=lambda entry: entry.name)
                assert known == [replace(shard, version=2) for shard in shards]
                assert await postgres.call("select version_num from alembic_version") == [(newest_revision(),)]
    # And once more, as it is now.
    async with make_cluster(shard_count=2, data=data) as cluster:
        assert cluster.identity.service_password == password
        assert await totals(cluster) == {ADA: (111, 2), 8: (5, 1)}
