"""Bring every shard to the newest schema, make all known to each, deal out the buckets, and keep partitions ready."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from db.directory import DirectoryEntry, read_directory, write_directory
from db.migrate import migrate
from db.ownership import claim_first, read_ownership
from db.partitions import Month, make_partitions, months_to_keep_ready
from db.postgres import Postgres
from db.roles import read_role_warnings, service_role_of
from db.schema import Migration
from domain.errors import ShardboardError
from service.schema_status import refuse_to_contract
from sharding.known_shards import newest_entries
from sharding.placement import deal_out


@dataclass(frozen=True, slots=True)
class Prepared:
    """What became of one shard.

    before: the schema that it had; None: it was empty, or is not known.
    after: the schema that it has now; None: not known.
    error: what kept it from being prepared.
    warnings: what is not as it should be with the rights of the service's role.
    waiting: the migrations that wait for `--contract`.
    """

    shard: str
    before: str | None
    after: str | None
    error: ShardboardError | None
    warnings: Sequence[str] = ()
    waiting: Sequence[Migration] = ()


async def migrate_shards(
    shards: Sequence[DirectoryEntry],
    *,
    back_days: int,
    months_ahead: int,
    contract: bool = False,
    alone: bool = False,
) -> list[Prepared]:
    """Migrate every shard and make its partitions; one that fails does not keep the others from it.

    Each of those that are migrated is told where all of them are. A deployment in which no shard owns a bucket yet is
    given them here, once all shards are migrated.

    Args:
        shards: all that there are; of their entries only the addresses count.
        contract: whether to run contract migrations as well, which is refused while an older version serves any shard.
        alone: whether the caller knows that no process serves.

    Raises:
        Unavailable: a shard stopped answering in between; run it again. With `contract` also where one does not answer
            at all: who serves it is not known.
        OperatorError: an older version serves; nothing was done.
    """
    if contract and not alone:
        await refuse_to_contract(shards)
    # One after the other: Alembic keeps what it is doing in globals of the process.
    results = [await _prepare(shard, back_days, months_ahead, contract=contract, alone=alone) for shard in shards]
    migrated = [shard for shard, result in zip(shards, results, strict=True) if not result.error]
    async with _connected(migrated) as postgreses:
        directory = await _make_known(migrated, postgreses)
        if len(migrated) == len(shards) and directory.keys() == {shard.name for shard in shards}:
            await _deal_out_buckets(postgreses)
    return results


async def keep_partitions_ready(postgres: Postgres, *, back_days: int, months_ahead: int) -> list[Month]:
    """Make the months of one shard that submissions may fall into; returns those that were missing.

    Raises:
        Unavailable: the shard does not answer.
    """
    months = months_to_keep_ready(datetime.now(UTC), back_days, months_ahead)
    async with postgres.write() as connection:
        return await make_partitions(connection, months)


async def _prepare(
    shard: DirectoryEntry, back_days: int, months_ahead: int, *, contract: bool, alone: bool
) -> Prepared:
    postgres = Postgres(shard.name, shard.direct_url)
    try:
        role = service_role_of(shard.url, shard.direct_url)
        done = await migrate(shard.name, shard.direct_url, role, contract=contract, alone=alone)
        await keep_partitions_ready(postgres, back_days=back_days, months_ahead=months_ahead)
        warnings = await read_role_warnings(postgres, role)
        return Prepared(shard.name, done.before, done.after, None, warnings, done.waiting)
    except ShardboardError as error:
        return Prepared(shard.name, None, None, error)
    finally:
        await postgres.close()


@asynccontextmanager
async def _connected(shards: Sequence[DirectoryEntry]) -> AsyncIterator[list[Postgres]]:
    postgreses = [Postgres(shard.name, shard.direct_url) for shard in shards]
    try:
        yield postgreses
    finally:
        await asyncio.gather(*(postgres.close() for postgres in postgreses))


async def _make_known(shards: Sequence[DirectoryEntry], postgreses: Sequence[Postgres]) -> Mapping[str, DirectoryEntry]:
    """Let each shard know where all are: those given, and whomever any of them knows. Gives what all know then."""
    known = newest_entries([entry for postgres in postgreses for entry in await read_directory(postgres)])
    for shard in shards:
        entry = known.get(shard.name)
        if entry is None:
            known[shard.name] = replace(shard, removed=False, version=1)
        elif (entry.url, entry.direct_url) != (shard.url, shard.direct_url):
            known[shard.name] = replace(entry, url=shard.url, direct_url=shard.direct_url, version=entry.version + 1)
    for postgres in postgreses:
        await write_directory(postgres, known.values())
    return known


async def _deal_out_buckets(postgreses: Sequence[Postgres]) -> None:
    """Give each shard of a new deployment its buckets; goes on where an earlier try ended half-way.

    Where a bucket was ever handed over, the deployment is not new, whatever its shards own at the moment.
    """
    deal = [set(buckets) for buckets in deal_out(len(postgreses))]
    words = [await read_ownership(postgres) for postgres in postgreses]
    owned = [{claim.bucket for claim in word.owned} for word in words]
    is_new = all(has in (set(), gets) for has, gets in zip(owned, deal, strict=True))
    if not is_new or owned == deal or any(word.handed_over for word in words):
        return
    for postgres, has, gets in zip(postgreses, owned, deal, strict=True):
        if not has:
            async with postgres.write() as connection:
                await claim_first(connection, sorted(gets))
