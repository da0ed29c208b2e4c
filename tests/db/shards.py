"""Looking into one shard from outside of the service, and recording sessions on it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
from sqlalchemy import make_url

from db.postgres import Postgres
from db.scores import Outcomes, record_sessions
from domain.submission import Submission
from infra.local.cluster_file import ShardUrls
from sharding.placement import bucket_of


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection of the test's own, closed at the end of the block."""
    connection = await asyncpg.connect(url, timeout=5, statement_cache_size=0)
    try:
        yield connection
    finally:
        await connection.close(timeout=5)


def service_url_of(shard: ShardUrls) -> str:
    """The address of the Postgres itself for the service's role, which otherwise comes through PgBouncer."""
    service = make_url(shard.url)
    url = make_url(shard.direct_url).set(username=service.username, password=service.password)
    return url.render_as_string(hide_password=False)


async def record(postgres: Postgres, *submissions: Submission, rename: bool = True) -> list[Outcomes]:
    """Record submissions in one batch, each in its player's bucket."""
    return await record_sessions(postgres, [(bucket_of(s.user_id), s) for s in submissions], rename=rename)


async def contents(url: str) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of the tables that hold data, the transaction ids and physical places included."""
    async with connected(url) as connection:
        return {
            table: [tuple(row) for row in await connection.fetch(f"select ctid::text, * from {table} order by 1, 2, 3")]
            for table in ("game_sessions", "leaderboard", "players", "bucket_owner")
        }
