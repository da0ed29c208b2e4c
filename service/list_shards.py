"""Every shard at a glance, those that do not answer included, and whether they make up a whole."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from db.migrate import newest_revision
from db.overview import Overview, read_overview
from db.ownership import Ownership, read_ownership
from db.postgres import Postgres
from domain.errors import MapError, ShardboardError
from sharding.shardmap import build_map


@dataclass(frozen=True, slots=True)
class ListedShard:
    """One shard: what it holds, or why that is not known.

    prepared: whether prepared statements are kept on the way to it.
    """

    name: str
    overview: Overview | None
    prepared: bool | None
    error: str | None

    @property
    def health(self) -> str:
        """`ok`, or what is wrong, in a few words."""
        if self.overview is None:
            return "does not answer"
        if self.overview.schema_version != newest_revision():
            return f"schema {self.overview.schema_version}, not {newest_revision()}"
        if self.overview.slots_lost:
            return f"{self.overview.slots_lost} slot(s) lost their WAL"
        return "ok"


@dataclass(frozen=True, slots=True)
class ListedShards:
    """All shards, and what is wrong with the map of buckets that they make; None where nothing is."""

    shards: list[ListedShard]
    map_error: str | None


async def list_shards(postgreses: Sequence[Postgres]) -> ListedShards:
    """Ask each shard, all at the same time; needs no valid map, because this is where one looks for what is wrong."""
    asked = await asyncio.gather(*(_ask(postgres) for postgres in postgreses))
    map_error = None
    try:
        build_map({shard.name: ownership for shard, ownership in asked})
    except MapError as error:
        map_error = str(error)
    return ListedShards([shard for shard, _ in asked], map_error)


async def _ask(postgres: Postgres) -> tuple[ListedShard, Ownership | None]:
    try:
        overview = await read_overview(postgres)
        ownership = await read_ownership(postgres)
        prepared = await postgres.keeps_prepared_statements()
    except ShardboardError as error:
        return ListedShard(postgres.name, None, None, str(error)), None
    return ListedShard(postgres.name, overview, prepared, None), ownership
