"""Putting a backup's rows into a shard: closed to writers first, loaded in one transaction, and opened at the end.

A shard is closed by a freeze of its buckets that has no end, so that nobody plays on a deployment that is half
restored, whatever is killed in between. That a shard was loaded from a backup shows in its incarnation, whose first
half is the backup's: the second half is random, since no mark of a relay may hold for the rows of another restore.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from secrets import token_bytes
from uuid import UUID

import asyncpg
from sqlalchemy import text

from db.errors import as_unavailable
from db.kept_tables import KeptTable
from db.partitions import Month
from db.postgres import Postgres
from db.snapshot import Measured, measure
from domain.errors import OperatorError

_STALL_S = 60.0
_LOCK_TIMEOUT_S = 30

_STATE = """
    select
        (select incarnation from shard_info) as incarnation,
        (select version_num from alembic_version) as revision,
        exists (select from players) or exists (select from leaderboard) or exists (select from game_sessions)
            as has_rows,
        (select count(*) from bucket_moves where phase not in ('done', 'aborted')) as moves,
        (
            select coalesce(max(epoch), 0)
            from (select epoch from bucket_owner union all select epoch from bucket_handover) as e
        ) as epoch_max,
        exists (select from bucket_owner where state = 'frozen' and frozen_until is null) as closed
"""
_CLOSE = (
    text(f"set local lock_timeout = '{_LOCK_TIMEOUT_S}s'"),
    # Batches under way end first.
    text("lock table bucket_owner in exclusive mode"),
    text("update bucket_owner set state = 'frozen', frozen_until = null"),
    # What it was loaded from earlier it is not any more: whoever is killed from here on begins with it again.
    text("update shard_info set incarnation = gen_random_uuid()"),
)
_OPEN = text("update bucket_owner set state = 'owned', frozen_until = null where state = 'frozen'")

_BEGIN = f"""
    set local idle_in_transaction_session_timeout = 0;
    set local statement_timeout = 0;
    set local lock_timeout = '{_LOCK_TIMEOUT_S}s';
    set local timezone = 'UTC';
    set local datestyle = 'ISO, YMD';
    lock table bucket_owner in exclusive mode
"""
_EMPTY = "truncate players, leaderboard, game_sessions, bucket_moves, move_markers"
_FORGET_OWNERS = "delete from bucket_owner; delete from bucket_handover"
_OWN = """
    insert into bucket_owner (bucket, state, epoch)
    select k.bucket, 'frozen', k.epoch from unnest($1::smallint[], $2::bigint[]) as k (bucket, epoch)
"""
_BECOME = "update shard_info set incarnation = $1, pruned_before = $2"
_MAKE_MONTHS = "select make_session_months($1::date[])"
# A key that was revoked here stays so, whatever the backup remembers of it.
_MERGE = {
    "api_keys": "on conflict (key_id) do update set revoked_at = least(k.revoked_at, excluded.revoked_at)",
    "boards": "on conflict do nothing",
}


@dataclass(frozen=True, slots=True)
class ShardState:
    """What a shard is before it is restored.

    moves: moves that begin here and have not ended.
    epoch_max: the highest epoch that it knows of any bucket.
    closed: whether a restore closed it to writers.
    """

    incarnation: UUID
    revision: str
    has_rows: bool
    moves: int
    epoch_max: int
    closed: bool


async def read_state(postgres: Postgres) -> ShardState:
    """The state of a shard.

    Raises:
        Unavailable: it does not answer.
        OperatorError: it has no tables.
    """
    (row,) = await postgres.call(_STATE)
    return ShardState(*row)


def was_loaded_from(backup_id: UUID, incarnation: UUID) -> bool:
    """Whether a shard of this incarnation was loaded from the backup."""
    return incarnation.bytes[:8] == backup_id.bytes[:8]


async def close_shard(postgres: Postgres) -> None:
    """Let nobody write to any bucket of a shard until `open_shard`; it counts as loaded from no backup.

    Raises:
        Unavailable: it does not answer, or somebody holds a lock.
    """
    async with postgres.write() as connection:
        for statement in _CLOSE:
            await connection.execute(statement)


async def open_shard(postgres: Postgres) -> None:
    """Let players write again.

    Raises:
        Unavailable: it does not answer.
    """
    async with postgres.write() as connection:
        await connection.execute(_OPEN)


class Load:
    """One shard's open transaction; made by `open_load`."""

    def __init__(self, name: str, connection: asyncpg.Connection, xid: str) -> None:
        self.name = name
        self._connection = connection
        self._xid = xid

    async def make_months(self, partitions: Iterable[str]) -> None:
        """Make those of the months' tables that are missing."""
        await self._connection.execute(_MAKE_MONTHS, [Month.of_partition(name).start.date() for name in partitions])

    async def copy(self, table: KeptTable, chunks: AsyncIterable[bytes]) -> None:
        """Put in rows as a `Snapshot` wrote them.

        Raises:
            OperatorError: the shard refuses one; says why.
            TimeoutError: the shard took nothing for a minute.
        """
        columns = list(table.columns)
        into = table.name
        if table.numbered:
            columns.append("changed_xid")
            chunks = _numbered(chunks, self._xid)
        if not table.by_bucket:
            into = f"restored_{table.name}"
            await self._connection.execute(
                f"drop table if exists pg_temp.{into}; create temporary table {into} (like {table.name}) on commit drop"
            )
        async with asyncio.timeout(_STALL_S) as stall:
            try:
                await self._connection.copy_to_table(
                    into, source=_watched(chunks, stall), columns=columns, format="text", encoding="utf-8"
                )
                if not table.by_bucket:
                    named = ", ".join(columns)
                    await self._connection.execute(
                        f"insert into {table.name} as k ({named}) select {named} from {into} {_MERGE[table.name]}"
                    )
            except (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError) as error:
                raise OperatorError(f"Shard {self.name} refuses rows of {table.name}: {error}") from error

    async def measure(self, table: KeptTable) -> Measured:
        """Count all rows of a table and add them up."""
        return await measure(self._connection, table)

    async def become(self, backup_id: UUID, epochs: Mapping[int, int], pruned_before: datetime | None) -> None:
        """Make it the owner of buckets, closed to writers, and another incarnation, loaded from the backup."""
        await self._connection.execute(_FORGET_OWNERS)
        await self._connection.execute(_OWN, list(epochs), list(epochs.values()))
        incarnation = UUID(bytes=backup_id.bytes[:8] + token_bytes(8), version=4)
        await self._connection.execute(_BECOME, incarnation, pruned_before)


@asynccontextmanager
async def open_load(postgres: Postgres, *, overwrite: bool) -> AsyncIterator[Load]:
    """The one transaction in which a shard is loaded: committed at the end of the block, or nothing is left of it.

    Args:
        overwrite: whether what the shard holds goes first; otherwise it has to be empty.

    Raises:
        Unavailable: the shard does not answer.
        OperatorError: it holds rows.
    """
    async with postgres.raw() as connection:
        with as_unavailable(postgres.name):
            async with connection.transaction():
                await connection.execute(_BEGIN)
                if overwrite:
                    await connection.execute(_EMPTY)
                elif (await connection.fetchrow(_STATE))["has_rows"]:
                    raise OperatorError(f"Shard {postgres.name} is not empty; nothing was changed there.")
                xid = await connection.fetchval("select pg_current_xact_id()::text")
                yield Load(postgres.name, connection, xid)


async def _numbered(chunks: AsyncIterable[bytes], xid: str) -> AsyncIterator[bytes]:
    """Rows with one more field: in COPY's text format a newline ends a row and stands nowhere else."""
    ending = f"\t{xid}\n".encode()
    async for chunk in chunks:
        yield chunk.replace(b"\n", ending)


async def _watched(chunks: AsyncIterable[bytes], stall: asyncio.Timeout) -> AsyncIterator[bytes]:
    loop = asyncio.get_running_loop()
    async for chunk in chunks:
        yield chunk
        stall.reschedule(loop.time() + _STALL_S)


def summed(measured: Sequence[Measured]) -> Measured:
    """What several of them make together."""
    sums: dict[str, int] = {}
    for each in measured:
        for column, value in each.sums.items():
            sums[column] = sums.get(column, 0) + value
    return Measured(sum(each.rows for each in measured), sums)
