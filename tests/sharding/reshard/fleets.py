"""A fleet on the session's cluster, players on it, and moves carried out as the command line does it."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from db.directory import DirectoryEntry
from db.postgres import ConnectionLimits, Postgres
from db.replication import drop_slot, list_traces, read_slots
from domain.move import Move
from infra.local.cluster import LocalCluster
from service.plan_moves import MoveBuckets, Plan, plan_moves, write_down
from sharding.placement import bucket_of
from sharding.reshard.fleet import Fleet, locked_fleet
from sharding.reshard.mover import Mover
from sharding.router import Router
from tests.db.shards import connected
from tests.factories import make_submission
from tests.sharding.routers import reset_owners
from tests.waiting import until

TABLES = {
    "players": "bucket, user_id, username, created_at",
    "leaderboard": "bucket, board_id, user_id, total_score, games_played, last_played, revision",
    "game_sessions": "*",
}

_SUBSCRIPTIONS = "select subname from pg_subscription where starts_with(subname, 'shardboard_move_')"


@asynccontextmanager
async def opened_fleet(cluster: LocalCluster) -> AsyncIterator[Fleet]:
    """Direct connections to every shard."""
    entries = {shard.name: DirectoryEntry(shard.name, shard.url, shard.direct_url) for shard in cluster.shards}
    direct = {name: Postgres(name, entry.direct_url, ConnectionLimits(lanes=6)) for name, entry in entries.items()}
    try:
        yield Fleet(entries, direct)
    finally:
        await asyncio.gather(*(postgres.close() for postgres in direct.values()))


async def take_moves_away(cluster: LocalCluster) -> None:
    """Give moved buckets back and drop whatever else a test left of its moves."""
    for shard in cluster.shards:
        async with connected(shard.direct_url) as connection:
            for (name,) in await connection.fetch(_SUBSCRIPTIONS):
                await connection.execute(f"alter subscription {name} disable")
                await connection.execute(f"alter subscription {name} set (slot_name = none)")
                await connection.execute(f"drop subscription {name}")
    async with opened_fleet(cluster) as fleet:
        for postgres in fleet.direct.values():
            for slot in await read_slots(postgres):
                await until(lambda postgres=postgres, name=slot.name: drop_slot(postgres, name))  # type: ignore[misc]
            for (name,) in await postgres.call("select pubname from pg_publication"):
                await postgres.call(f"drop publication {name}")
    await reset_owners(cluster)


async def play(router: Router, users: Sequence[int], games: int, seed: int = 1) -> None:
    """Some games of each player."""
    dice = random.Random(seed)
    for _ in range(games):
        await asyncio.gather(*(router.record(make_submission(user, dice.randint(-20, 100))) for user in users))


async def plan(fleet: Fleet, buckets: Sequence[int], target: str, **options: Any) -> Plan:
    """Plan to move buckets, and write the plan down."""
    planned = await plan_moves(fleet, MoveBuckets(buckets, target), **options)
    await write_down(fleet, planned)
    return planned


async def run(fleet: Fleet, report: Callable[[Move, str], None] | None = None, **options: Any) -> list[Move]:
    """Be the mover."""
    async with locked_fleet(fleet, "test") as locks:
        return await Mover(fleet, locks, report or (lambda move, told: None), **options).run()


async def rows_of(url: str, buckets: Sequence[int]) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of buckets, but for the transaction ids, which are each shard's own."""
    async with connected(url) as connection:
        return {
            table: sorted(
                tuple(row)
                for row in await connection.fetch(f"select {columns} from {table} where bucket = any ($1)", buckets)
            )
            for table, columns in TABLES.items()
        }


async def owners_of(cluster: LocalCluster, buckets: Sequence[int]) -> dict[int, list[str]]:
    """Which shards say of themselves that they own each bucket."""
    owners: dict[int, list[str]] = {bucket: [] for bucket in buckets}
    for shard in cluster.shards:
        async with connected(shard.direct_url) as connection:
            for (bucket,) in await connection.fetch(
                "select bucket from bucket_owner where bucket = any ($1)", list(buckets)
            ):
                owners[bucket].append(shard.name)
    return owners


async def traces(fleet: Fleet) -> dict[str, list[str]]:
    """What moves left beside rows, by shard; shards without anything are left out."""
    return {name: found for name, found in (await fleet.ask(list_traces)).items() if found}


def with_capacity(fleet: Fleet, name: str, capacity_bytes: int) -> Fleet:
    """The fleet with a limit to one shard's size."""
    entries = dict(fleet.entries)
    return Fleet(entries | {name: replace(entries[name], capacity_bytes=capacity_bytes)}, fleet.direct)


def buckets_of(users: Sequence[int]) -> list[int]:
    """The buckets of players, each once."""
    return sorted({bucket_of(user) for user in users})
