"""Drop months of old sessions; totals, ranks and the number of games played stay as they are.

It may be stopped anywhere and run again: first the shard is told that the months are gone, so that none of their
sessions can come in again and count twice; a month whose detaching was cut short is finished, and a table that was
detached and not dropped is dropped.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncConnection

from db.partitions import (
    Month,
    Partition,
    detach_partition,
    drop_detached,
    limit_lock_waits,
    list_detached,
    list_partitions,
    read_pruned_before,
    set_pruned_before,
)
from db.postgres import Postgres, read_shard_name
from domain.errors import OperatorError


@dataclass(frozen=True, slots=True)
class Pruned:
    """The months of one shard that were dropped, or would be; with sizes where they were partitions still."""

    shard: str
    partitions: list[Partition]
    leftovers: list[Month]


async def prune_sessions(
    direct: Mapping[str, Postgres],
    before: Month,
    *,
    window_back: timedelta,
    dry_run: bool,
    say: Callable[[str], None],
) -> list[Pruned]:
    """Drop every month before `before`, on one shard after the other.

    Args:
        direct: every shard by its name, not through a PgBouncer.
        window_back: how old a submission's id may be: months into which submissions may still fall are refused.
        dry_run: only say what would be dropped.
        say: told of each step.

    Raises:
        OperatorError: submissions may still come into one of the months; nothing was done.
        Unavailable: a shard does not answer, or somebody holds a lock for too long; run it again.
    """
    latest = Month.of(datetime.now(UTC) - window_back)
    if before > latest:
        raise OperatorError(
            f"submissions may be up to {window_back.days} days old (SHARDBOARD_ID_WINDOW_BACK_DAYS), so months from "
            f"{latest} on are needed; --before {latest} is the latest that works. Nothing was done."
        )
    return [await _prune(postgres, before, dry_run, say) for postgres in direct.values()]


async def _prune(postgres: Postgres, before: Month, dry_run: bool, say: Callable[[str], None]) -> Pruned:
    async with postgres.autocommit() as connection:
        found = await read_shard_name(connection)
        if found != postgres.name:
            raise OperatorError(f"the address of shard {postgres.name!r} leads to the shard {found!r}")
        pruned = await _plan(postgres.name, connection, before)
        if dry_run:
            return pruned
        await set_pruned_before(connection, before.start)
        await limit_lock_waits(connection)
        # A month that is half detached first: there can be one at a time.
        for partition in sorted(pruned.partitions, key=lambda each: not each.detaching):
            say(f"{postgres.name}: {'finishing' if partition.detaching else 'detaching'} {partition.month}")
            await detach_partition(connection, partition.month, finalize=partition.detaching)
            await drop_detached(connection, partition.month)
        for month in pruned.leftovers:
            say(f"{postgres.name}: dropping {month}, which was detached before")
            await drop_detached(connection, month)
    return pruned


async def _plan(shard: str, connection: AsyncConnection, before: Month) -> Pruned:
    pruned_before = await read_pruned_before(connection)
    # What an earlier run was told and did not come to.
    upto = max(before, Month.of(pruned_before)) if pruned_before else before
    partitions = [partition for partition in await list_partitions(connection) if partition.month < upto]
    return Pruned(shard, partitions, [month for month in await list_detached(connection) if month < upto])
