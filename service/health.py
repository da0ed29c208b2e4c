"""Which parts answer, and whether this version can serve the tables that it finds."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from db.schema import SchemaState, newest_revision, read_schema, why_not_served
from domain.errors import ShardboardError
from domain.resilience.limits import HEALTH_ASK_S_MAX
from service.parts import Parts
from sharding.shard import Shard


@dataclass(frozen=True, slots=True)
class Health:
    """The state of each shard's tables by the shard's name, None where it does not answer; whether Redis answers."""

    schemas: dict[str, SchemaState | None]
    redis: bool

    @property
    def shards(self) -> dict[str, bool]:
        """Which shards answer, by name."""
        return {name: state is not None for name, state in self.schemas.items()}

    @property
    def refused(self) -> dict[str, str]:
        """Why this version cannot serve a shard's tables, by the shard's name."""
        whys = {name: state and why_not_served(state) for name, state in self.schemas.items()}
        return {name: why for name, why in whys.items() if why}

    @property
    def is_expanded(self) -> bool:
        """Whether a newer version has migrated tables that this one serves."""
        return any(state is not None and state.revision > newest_revision() for state in self.schemas.values())


async def read_health(parts: Parts) -> Health:
    """Ask every part now; takes about a second at most."""
    shards = parts.router.shards
    states, redis = await asyncio.gather(
        asyncio.gather(*(_ask(shard) for shard in shards.values())), parts.store.answers()
    )
    return Health(dict(zip(shards, states, strict=True)), redis)


async def _ask(shard: Shard) -> SchemaState | None:
    try:
        return await read_schema(shard.postgres, timeout_s=HEALTH_ASK_S_MAX)
    except ShardboardError:
        return None
