"""The way of a move's rows: made before the first one is copied, taken away after the last one was switched."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Mapping

from db.clean_up import delete_orphans_of, delete_players_of
from db.partitions import list_partitions, make_partitions, read_pruned_before, set_pruned_before
from db.postgres import Postgres
from db.replication import (
    Subscription,
    drop_publications,
    drop_slot,
    drop_subscription,
    ensure_publications,
    ensure_slot,
    ensure_subscription,
    list_orphaned_slots,
    read_slots,
    read_subscription,
)
from domain.errors import OperatorError, Unavailable
from domain.move import Move

_POLL_S = 0.1
_SLOT_PATIENCE_S = 30.0

# The clean-up works about this share of the time and rests for the rest, so that the traffic does not feel it.
_DUTY = 0.4
_CHUNK_PLAYERS = 250


async def make_way(move: Move, source: Postgres, target: Postgres, source_url: str) -> None:
    """Let the target copy the move's rows, and follow them; again and again does no harm.

    Raises:
        Unavailable: a shard does not answer, or the target cannot reach the source.
    """
    await _make_months(source, target)
    await ensure_publications(source, move)
    await ensure_slot(source, move)
    await ensure_subscription(target, move, source_url)


async def read_progress(move: Move, source: Postgres, target: Postgres) -> Subscription:
    """How far the copy is.

    Raises:
        Unavailable: a shard does not answer.
        OperatorError: what the copy needs is gone, and it cannot go on.
    """
    subscription, slots = await asyncio.gather(read_subscription(target, move), read_slots(source))
    slot = next((slot for slot in slots if slot.name == move.name), None)
    if subscription is None or slot is None or slot.wal_status == "lost":
        missing = "its subscription" if subscription is None else "its slot, or the WAL that the slot kept,"
        raise OperatorError(
            f"The move of {move} cannot go on: {missing} is gone. Take it back with `shardboard shards abort` and plan "
            "it anew."
        )
    return subscription


async def take_way_back(move: Move, source: Postgres, target: Postgres, targets: Mapping[str, Postgres]) -> None:
    """Let nothing stay of the move but its rows.

    Args:
        targets: every shard that may have copied from the source: what a killed target left there is dropped as well.

    Raises:
        Unavailable: a shard does not answer, or a slot does not become free.
    """
    try:
        await drop_subscription(target, move)
    finally:
        # Also while the target is away: the slot keeps the source's WAL.
        await _drop_slots(source, [move.name])
        await drop_publications(source, move)
    await _drop_slots(source, await list_orphaned_slots(source, targets))


async def clean_up(postgres: Postgres, buckets: Collection[int], *, half_copied: bool) -> int:
    """Delete what a shard holds of buckets that are another's, slowly; says how many rows went.

    The caller has seen that another shard owns each of them.

    Args:
        half_copied: whether a copy may have ended half-way: there can be sessions without their player then.

    Raises:
        Unavailable: the shard does not answer.
    """
    rows = 0
    players = 1
    while players:
        began_at = time.monotonic()
        players, gone = await delete_players_of(postgres, buckets, _CHUNK_PLAYERS)
        rows += gone
        await asyncio.sleep((time.monotonic() - began_at) * (1 - _DUTY) / _DUTY)
    return rows + (await delete_orphans_of(postgres, buckets) if half_copied else 0)


async def _drop_slots(source: Postgres, names: Collection[str]) -> None:
    give_up_at = time.monotonic() + _SLOT_PATIENCE_S
    for name in names:
        while not await drop_slot(source, name):
            if time.monotonic() > give_up_at:
                raise Unavailable(f"The slot {name} of shard {source.name} is in use and cannot be dropped.")
            await asyncio.sleep(_POLL_S)


async def _make_months(source: Postgres, target: Postgres) -> None:
    """The target needs every month of the source before the first row, or the copy fails for ever."""
    async with source.read() as connection:
        months = [partition.month for partition in await list_partitions(connection)]
        pruned_before = await read_pruned_before(connection)
    async with target.write() as connection:
        await make_partitions(connection, months)
        if pruned_before is not None:
            # What was pruned at the source must not be taken for new at the target.
            await set_pruned_before(connection, pruned_before)
