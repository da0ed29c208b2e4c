"""Which parts answer."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from domain.errors import ShardboardError
from service.parts import Parts
from sharding.shard import Shard

_ASK = "select 1"
_TIMEOUT_S = 1.0


@dataclass(frozen=True, slots=True)
class Health:
    """Which shards answer, by name, and whether Redis does."""

    shards: dict[str, bool]
    redis: bool


async def read_health(parts: Parts) -> Health:
    """Ask every part now; takes about a second at most."""
    shards = parts.router.shards
    redis, *answers = await asyncio.gather(parts.store.answers(), *(_answers(shard) for shard in shards.values()))
    return Health(dict(zip(shards, answers, strict=True)), redis)


async def _answers(shard: Shard) -> bool:
    try:
        await shard.postgres.call(_ASK, timeout_s=_TIMEOUT_S)
    except ShardboardError:
        return False
    return True
