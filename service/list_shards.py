"""Every shard at a glance, those that do not answer included, and whether they make up a whole."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace

from db.explain import explain
from db.overview import Overview, read_overview
from db.ownership import Ownership, read_ownership
from db.postgres import Postgres
from db.schema import needed_revision
from domain.errors import MapError, ShardboardError
from sharding.replica import ReplicaState
from sharding.replicas import Replicas
from sharding.shard import Shard
from sharding.shardmap import build_map

_LOOK_RESTS_S = (0.3, 0.5, 0.0)


@dataclass(frozen=True, slots=True)
class ListedShard:
    """One shard: what it holds, or why that is not known.

    prepared: whether prepared statements are kept on the way to it.
    replicas: what a process would make of each of its replicas.
    """

    name: str
    overview: Overview | None
    prepared: bool | None
    error: str | None
    replicas: Sequence[ReplicaState] = ()

    @property
    def health(self) -> str:
        """`ok`, or what is wrong, in a few words."""
        if self.overview is None:
            return "does not answer"
        if self.overview.schema_version < needed_revision():
            return f"schema {self.overview.schema_version}, not {needed_revision()}"
        if self.overview.slots_lost:
            return f"{self.overview.slots_lost} slot(s) lost their WAL"
        return "ok"


@dataclass(frozen=True, slots=True)
class ListedShards:
    """All shards, and what is wrong with the map of buckets that they make; None where nothing is."""

    shards: list[ListedShard]
    map_error: str | None


async def list_shards(shards: Sequence[Shard]) -> ListedShards:
    """Ask each shard, all at the same time; needs no valid map, because this is where one looks for what is wrong."""
    asked = await asyncio.gather(*(_ask(shard) for shard in shards))
    map_error = None
    try:
        build_map({shard.name: ownership for shard, ownership in asked})
    except MapError as error:
        map_error = str(error)
    return ListedShards([shard for shard, _ in asked], map_error)


async def _ask(shard: Shard) -> tuple[ListedShard, Ownership | None]:
    listed, ownership = await _ask_primary(shard.postgres)
    return replace(listed, replicas=await _look_at(shard.replicas)), ownership


async def _look_at(replicas: Replicas) -> list[ReplicaState]:
    """What the looks of about a second tell: one that is behind may have come to where its primary was at the first."""
    for rest_s in _LOOK_RESTS_S:
        await replicas.look()
        if all(state.is_used for state in replicas.states()):
            break
        await asyncio.sleep(rest_s)
    return replicas.states()


async def _ask_primary(postgres: Postgres) -> tuple[ListedShard, Ownership | None]:
    try:
        overview = await read_overview(postgres)
        ownership = await read_ownership(postgres)
        prepared = await postgres.keeps_prepared_statements()
    except ShardboardError as error:
        return ListedShard(postgres.name, None, None, explain(error)), None
    return ListedShard(postgres.name, overview, prepared, None), ownership
