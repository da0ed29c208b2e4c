"""May this move begin? Answers are values: why not, in words for an operator. Nothing is changed by asking."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from db.clean_up import list_strangers
from db.ownership import read_ownership
from db.server_facts import ServerFacts, read_schema_version, read_server_facts
from domain.move import Move
from sharding.reshard.fleet import Fleet
from sharding.shardmap import ShardMap

MAJOR_MIN = 15
# The slots and senders of one move: one to follow, and one for each table that is copied.
SLOTS_A_MOVE = 5
# A table that is written anew is larger than its rows were where they came from: free space for updates, and WAL.
_ROOM_FACTOR = 1.3


def why_unfit(name: str, facts: ServerFacts) -> list[str]:
    """What a server lacks that a shard needs, whatever moves; one sentence each."""
    reasons = []
    if facts.major < MAJOR_MIN:
        reasons.append(f"Shard {name} is PostgreSQL {facts.major}; {MAJOR_MIN} or newer is needed.")
    if facts.wal_level != "logical":
        reasons.append(
            f"Shard {name} has wal_level = {facts.wal_level}; moves need `wal_level = logical` and a restart of it."
        )
    if facts.slots_max - facts.slots_used < SLOTS_A_MOVE:
        reasons.append(
            f"Shard {name} has {facts.slots_max - facts.slots_used} replication slots free and a move takes "
            f"{SLOTS_A_MOVE}; set max_replication_slots to {facts.slots_used + SLOTS_A_MOVE} or more."
        )
    if facts.senders_max - facts.senders_used < SLOTS_A_MOVE:
        reasons.append(
            f"Shard {name} has {facts.senders_max - facts.senders_used} WAL senders free and a move takes "
            f"{SLOTS_A_MOVE}; set max_wal_senders to {facts.senders_used + SLOTS_A_MOVE} or more."
        )
    if facts.workers_max < 2:
        reasons.append(f"Shard {name} has max_logical_replication_workers = {facts.workers_max}; set it to 4 or more.")
    if not facts.may_replicate:
        reasons.append(f"The role of shard {name} may not replicate: `alter role … replication`.")
    if not facts.may_subscribe:
        reasons.append(
            f"The role of shard {name} may not subscribe: `grant pg_create_subscription to …` (a superuser before 16)."
        )
    if facts.encoding != "UTF8":
        reasons.append(f"Shard {name} has the encoding {facts.encoding}; UTF8 is needed.")
    return reasons


async def why_not(fleet: Fleet, moves: Sequence[Move], owners: ShardMap, free_bytes: int | None) -> list[str]:
    """Why moves that are planned cannot be carried out; empty where they can.

    Args:
        free_bytes: space on the disk that all shards share, where it is known.

    Raises:
        Unavailable: a shard does not answer.
    """
    names = sorted({name for move in moves for name in (move.source, move.target)})
    facts = dict(
        zip(names, await asyncio.gather(*(read_server_facts(fleet.postgres(name)) for name in names)), strict=True)
    )
    reasons = [reason for name in names for reason in why_unfit(name, facts[name])]
    reasons += _why_not_owned(moves, owners)
    reasons += await _why_other_schema(fleet, names)
    for target in sorted({move.target for move in moves}):
        arriving = [move for move in moves if move.target == target]
        coming = sum(move.bytes_planned for move in arriving)
        reasons += _why_no_room(target, facts[target].bytes, coming, fleet.entries[target].capacity_bytes)
        reasons += await _why_foreign(fleet, target, {bucket for move in arriving for bucket in move.buckets})
    needed = round(sum(move.bytes_planned for move in moves) * _ROOM_FACTOR)
    if free_bytes is not None and needed > free_bytes:
        reasons.append(
            f"The copies take about {needed / 1e6:,.0f} MB and the disk has {free_bytes / 1e6:,.0f} MB left; make room."
        )
    return reasons


def _why_not_owned(moves: Sequence[Move], owners: ShardMap) -> list[str]:
    reasons = []
    for move in moves:
        if move.source == move.target:
            reasons.append(f"Buckets cannot move from {move.source} to itself.")
        strangers = [bucket for bucket in move.buckets if owners.owners[bucket] != move.source]
        if strangers:
            reasons.append(
                f"Bucket {strangers[0]} is {owners.owners[strangers[0]]}'s and not {move.source}'s"
                f"{f', and {len(strangers) - 1} more' if len(strangers) > 1 else ''}; plan again."
            )
    return reasons


async def _why_other_schema(fleet: Fleet, names: Sequence[str]) -> list[str]:
    versions = await asyncio.gather(*(read_schema_version(fleet.postgres(name)) for name in names))
    if len(set(versions)) <= 1:
        return []
    told = ", ".join(f"{name} at {version}" for name, version in zip(names, versions, strict=True))
    return [f"The shards have different schemas: {told}. Run `shardboard migrate` first."]


def _why_no_room(target: str, size: int, coming: int, capacity: int | None) -> list[str]:
    expected = size + round(coming * _ROOM_FACTOR)
    if capacity is None or expected <= capacity:
        return []
    return [
        f"Shard {target} has no room: {size / 1e6:,.0f} MB and about {coming * _ROOM_FACTOR / 1e6:,.0f} MB more are "
        f"over its capacity of {capacity / 1e6:,.0f} MB; move less, or give it more: `shardboard shards add {target} "
        "--capacity …`."
    ]


async def _why_foreign(fleet: Fleet, target: str, buckets: set[int]) -> list[str]:
    """Rows in the way. What earlier moves left at the target is cleaned up before, and is not meant."""
    postgres = fleet.postgres(target)
    there, ownership = await asyncio.gather(list_strangers(postgres), read_ownership(postgres))
    left = {each.bucket for each in ownership.handed_over}
    foreign = {bucket: rows for bucket, rows in there.items() if bucket in buckets and bucket not in left}
    if not foreign:
        return []
    first = min(foreign)
    return [
        f"Shard {target} holds {sum(foreign.values())} rows of {len(foreign)} bucket(s) that are not its own, the "
        f"first is {first}, and no move left them there. See `shardboard shards verify`; take them out and plan again."
    ]
