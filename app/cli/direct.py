"""The shards without their PgBouncers: for transactions that take long, and for what a pooler cannot pass on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from app.settings import Settings
from db.postgres import ConnectionLimits, Postgres


@asynccontextmanager
async def open_direct(settings: Settings) -> AsyncIterator[dict[str, Postgres]]:
    """Every shard by its name, reached at its direct address; connected when first used."""
    limits = ConnectionLimits(lanes=1, pool_size=1, connect_timeout_s=settings.connect_timeout_ms / 1000)
    postgreses = {shard.name: Postgres(shard.name, shard.direct_url, limits) for shard in settings.shards}
    try:
        yield postgreses
    finally:
        await asyncio.gather(*(postgres.close() for postgres in postgreses.values()))
