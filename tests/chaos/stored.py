"""What the shards hold in the end, read past every cache: the truth that clients' answers are compared with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple
from uuid import UUID

import asyncpg

from tests.db.shards import connected


class StoredSession(NamedTuple):
    """A session as a shard holds it."""

    shard: str
    id: UUID
    user_id: int
    bucket: int
    score: int
    total_after: int
    games_after: int


class StoredStanding(NamedTuple):
    """A standing as a shard holds it."""

    shard: str
    user_id: int
    bucket: int
    total: int
    games: int


@dataclass(frozen=True)
class Stored:
    """All of it, of every shard; `owners` are the claims to each bucket: shard and epoch."""

    sessions: list[StoredSession]
    standings: list[StoredStanding]
    owners: dict[int, list[tuple[str, int]]]


async def read_stored(direct_urls: Mapping[str, str]) -> Stored:
    """Read every row of every shard, given by name and direct address."""
    stored = Stored([], [], {})
    for shard, url in direct_urls.items():
        async with connected(url) as connection, connection.transaction(isolation="repeatable_read", readonly=True):
            await _read_shard(stored, shard, connection)
    return stored


async def _read_shard(stored: Stored, shard: str, connection: asyncpg.Connection) -> None:
    sessions = await connection.fetch(
        "select id, user_id, bucket, score, total_after, games_after from game_sessions", timeout=60
    )
    # asyncpg has a UUID class of its own.
    stored.sessions.extend(StoredSession(shard, UUID(int=row[0].int), *row[1:]) for row in sessions)
    standings = await connection.fetch(
        "select user_id, bucket, total_score, games_played from leaderboard where board_id = 1"
    )
    stored.standings.extend(StoredStanding(shard, *row) for row in standings)
    for bucket, epoch in await connection.fetch("select bucket, epoch from bucket_owner"):
        stored.owners.setdefault(bucket, []).append((shard, epoch))
