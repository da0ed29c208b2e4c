"""One shard as of one moment, table by table, as COPY writes it: what a backup is made of."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime

import asyncpg

from db.kept_tables import KeptTable
from db.ownership import HandedOver, OwnedBucket, Ownership
from db.postgres import Postgres

# A shard from which nothing comes for so long is taken for gone.
_STALL_S = 60.0
# Counting and adding up reads a table from end to end without a word in between.
_SUMS_TIMEOUT_S = 3600.0

# The text of times must not depend on the settings of a server or a role.
_BEGIN = """
    set local idle_in_transaction_session_timeout = 0;
    set local statement_timeout = 0;
    set local timezone = 'UTC';
    set local datestyle = 'ISO, YMD';
    set local extra_float_digits = 1
"""
_FACTS = """
    select
        now() as at,
        split_part(current_setting('server_version'), ' ', 1) as server_version,
        (select version_num from alembic_version) as revision,
        (select pruned_before from shard_info) as pruned_before,
        array(select array[bucket, epoch] from bucket_owner) as owned,
        array(select array[bucket, epoch] from bucket_handover order by bucket) as handed_over,
        array(select target from bucket_handover order by bucket) as targets,
        array(
            select c.relname::text
            from pg_inherits as i
            join pg_class as c on c.oid = i.inhrelid
            where i.inhparent = 'game_sessions'::regclass
            order by 1
        ) as partitions
"""


@dataclass(frozen=True, slots=True)
class SnapshotFacts:
    """What a shard is, as of its snapshot.

    at: the instant of the snapshot by the shard's clock.
    partitions: the names of the months' tables.
    """

    at: datetime
    server_version: str
    revision: str
    pruned_before: datetime | None
    ownership: Ownership
    partitions: Sequence[str]


@dataclass(frozen=True, slots=True)
class Measured:
    """The number of rows of a table, and the sums of some of its columns."""

    rows: int
    sums: Mapping[str, int]


class Snapshot:
    """A shard's open transaction; made by `open_snapshot`."""

    def __init__(self, name: str, connection: asyncpg.Connection, facts: SnapshotFacts) -> None:
        self.name = name
        self.facts = facts
        self._connection = connection

    async def copy(self, table: KeptTable, buckets: Sequence[int], write: Callable[[bytes], Awaitable[None]]) -> int:
        """Write the rows of a table in COPY's text format; returns how many.

        Args:
            buckets: whose rows, where the table has such.

        Raises:
            TimeoutError: nothing came for a minute.
        """
        query = f"select {', '.join(table.columns)} from {table.name}"
        if table.by_bucket:
            query += f" where bucket = any ('{{{','.join(map(str, buckets))}}}')"
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(_STALL_S) as stall:

            async def take(chunk: bytes) -> None:
                stall.reschedule(None)
                await write(chunk)
                stall.reschedule(loop.time() + _STALL_S)

            status = await self._connection.copy_from_query(query, output=take, format="text", encoding="utf-8")
        return int(status.split()[1])

    async def measure(self, table: KeptTable, buckets: Sequence[int]) -> Measured:
        """Count the same rows and add them up."""
        return await measure(self._connection, table, buckets)


@asynccontextmanager
async def open_snapshot(postgres: Postgres) -> AsyncIterator[Snapshot]:
    """See a shard as it is now until the end of the block. Nobody is locked out; vacuum keeps what died since.

    Args:
        postgres: not behind a PgBouncer, which ends statements that take long.

    Raises:
        Unavailable: it does not answer.
    """
    async with postgres.raw() as connection, connection.transaction(isolation="repeatable_read", readonly=True):
        await connection.execute(_BEGIN)
        row = await connection.fetchrow(_FACTS)
        ownership = Ownership(
            [OwnedBucket(bucket, epoch) for bucket, epoch in row["owned"]],
            [
                HandedOver(bucket, epoch, to)
                for (bucket, epoch), to in zip(row["handed_over"], row["targets"], strict=True)
            ],
        )
        facts = SnapshotFacts(
            row["at"],
            row["server_version"],
            row["revision"],
            row["pruned_before"],
            ownership,
            row["partitions"],
        )
        yield Snapshot(postgres.name, connection, facts)


async def measure(connection: asyncpg.Connection, table: KeptTable, buckets: Sequence[int] | None = None) -> Measured:
    """Count the rows of a table and add up its columns; of some buckets, or all rows that there are."""
    sums = "".join(f", coalesce(sum({column}), 0)::text" for column in table.sums)
    query = f"select count(*){sums} from {table.name}"
    if buckets is not None and table.by_bucket:
        row = await connection.fetchrow(
            f"{query} where bucket = any ($1::smallint[])", list(buckets), timeout=_SUMS_TIMEOUT_S
        )
    else:
        row = await connection.fetchrow(query, timeout=_SUMS_TIMEOUT_S)
    rows, *found = row
    return Measured(rows, dict(zip(table.sums, map(int, found), strict=True)))
