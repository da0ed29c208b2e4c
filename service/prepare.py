"""Bring every shard to the newest schema, deal out the buckets of a new deployment, and keep partitions ready."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from db.migrate import migrate
from db.ownership import claim_first, list_owned
from db.partitions import Month, make_partitions, months_to_keep_ready
from db.postgres import Postgres
from domain.errors import ShardboardError
from sharding.placement import deal_out


@dataclass(frozen=True, slots=True)
class ShardToPrepare:
    """A shard's name and its direct address."""

    name: str
    direct_url: str


@dataclass(frozen=True, slots=True)
class Prepared:
    """What became of one shard: the schema version it had before (None: empty), or the error that kept it from it."""

    shard: str
    before: str | None
    error: ShardboardError | None


async def migrate_shards(shards: Sequence[ShardToPrepare], *, back_days: int, months_ahead: int) -> list[Prepared]:
    """Migrate every shard and make its partitions; one that fails does not keep the others from it.

    A deployment in which no shard owns a bucket yet is given them here, once all shards are migrated.

    Raises:
        Unavailable: a shard stopped answering in between; run it again.
    """
    # One after the other: Alembic keeps what it is doing in globals of the process.
    results = [await _prepare(shard, back_days, months_ahead) for shard in shards]
    if not any(result.error for result in results):
        await _deal_out_buckets(shards)
    return results


async def keep_partitions_ready(postgres: Postgres, *, back_days: int, months_ahead: int) -> list[Month]:
    """Make the months of one shard that submissions may fall into; returns those that were missing.

    Raises:
        Unavailable: the shard does not answer.
    """
    months = months_to_keep_ready(datetime.now(UTC), back_days, months_ahead)
    async with postgres.write() as connection:
        return await make_partitions(connection, months)


async def _prepare(shard: ShardToPrepare, back_days: int, months_ahead: int) -> Prepared:
    postgres = Postgres(shard.name, shard.direct_url)
    try:
        before = await migrate(shard.name, shard.direct_url)
        await keep_partitions_ready(postgres, back_days=back_days, months_ahead=months_ahead)
    except ShardboardError as error:
        return Prepared(shard.name, None, error)
    finally:
        await postgres.close()
    return Prepared(shard.name, before, None)


async def _deal_out_buckets(shards: Sequence[ShardToPrepare]) -> None:
    """Give each shard of a new deployment its buckets; goes on where an earlier try ended half-way."""
    postgreses = [Postgres(shard.name, shard.direct_url) for shard in shards]
    deal = [set(buckets) for buckets in deal_out(len(shards))]
    try:
        owned = []
        for postgres in postgreses:
            async with postgres.read() as connection:
                owned.append(await list_owned(connection))
        is_new = all(has in (set(), gets) for has, gets in zip(owned, deal, strict=True))
        if not is_new or owned == deal:
            return
        for postgres, has, gets in zip(postgreses, owned, deal, strict=True):
            if not has:
                async with postgres.write() as connection:
                    await claim_first(connection, sorted(gets))
    finally:
        for postgres in postgreses:
            await postgres.close()
