"""What the plain design does with Postgres and Redis."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from typing import Any

from redis.asyncio import Redis
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine

from benchmarks.plain.tables import SCHEMA, GameSession, Player
from benchmarks.plain.types import SubmitScoreInput

CACHE_SECONDS = 5


class Store:
    """One Postgres and one Redis, named by PLAIN_DATABASE_URL and PLAIN_REDIS_URL."""

    def __init__(self) -> None:
        """Connects at the first use."""
        url = os.environ["PLAIN_DATABASE_URL"].replace("postgresql://", "postgresql+asyncpg://")
        options = {"server_settings": {"search_path": SCHEMA, "application_name": "plain"}}
        engine = create_async_engine(url, connect_args=options, pool_size=8, max_overflow=8)
        self.sessions = async_sessionmaker(engine, expire_on_commit=False)
        self.redis = Redis.from_url(os.environ["PLAIN_REDIS_URL"])

    async def submit(self, given: SubmitScoreInput) -> tuple[GameSession, Player, bool]:
        """One transaction: the session goes in, the total goes up. Last in the answer: whether it was there before."""
        try:
            return *await self._record(given), False
        except IntegrityError:
            async with self.sessions() as db:
                known = await db.get_one(GameSession, given.submission_id)
                return known, await db.get_one(Player, known.player_id), True

    async def _record(self, given: SubmitScoreInput) -> tuple[GameSession, Player]:
        now = datetime.now(UTC)
        async with self.sessions.begin() as db:
            player = await db.get(Player, int(given.user_id), with_for_update=True)
            if player is None:
                player = Player(
                    id=int(given.user_id), username=given.username, total_score=0, games_played=0, last_played=now
                )
                db.add(player)
                # Two tables without a relationship: the ORM does not know which row has to be there first.
                await db.flush()
            session = GameSession(
                id=given.submission_id,
                player_id=player.id,
                score=given.score,
                game_mode=given.game_mode,
                duration_seconds=given.duration_seconds,
                played_at=now,
            )
            db.add(session)
            player.username = given.username
            player.total_score += given.score
            player.games_played += 1
            player.last_played = now
        return session, player

    async def read_top(self, first: int) -> dict[str, Any]:
        """The best players and how many there are, up to 5 seconds old."""
        key = f"top:{first}"
        cached = await self.redis.get(key)
        if cached is not None:
            return json.loads(cached)  # type: ignore[no-any-return]
        async with self.sessions() as db:
            best = (await db.scalars(select(Player).order_by(Player.total_score.desc(), Player.id).limit(first))).all()
            count = await db.scalar(select(func.count()).select_from(Player))
            players = [_standing(p, await _rank_of(db, p)) for p in best]
        answer = {"players": players, "count": count}
        await self.redis.set(key, json.dumps(answer), ex=CACHE_SECONDS)
        return answer

    async def read_rank(self, user_id: int) -> dict[str, Any] | None:
        """One player's standing, up to 5 seconds old."""
        key = f"rank:{user_id}"
        cached = await self.redis.get(key)
        if cached is not None:
            return json.loads(cached)  # type: ignore[no-any-return]
        async with self.sessions() as db:
            player = await db.get(Player, user_id)
            answer = None if player is None else _standing(player, await _rank_of(db, player))
        await self.redis.set(key, json.dumps(answer), ex=CACHE_SECONDS)
        return answer

    async def read_history(self, user_id: int, first: int) -> tuple[list[GameSession], int]:
        """The newest sessions, one more than asked for where there is more, and how many there are in all."""
        async with self.sessions() as db:
            newest = select(GameSession).where(GameSession.player_id == user_id).order_by(GameSession.id.desc())
            sessions = (await db.scalars(newest.limit(first + 1))).all()
            count = await db.scalar(select(Player.games_played).where(Player.id == user_id))
        return list(sessions), count or 0


async def _rank_of(db: AsyncSession, player: Player) -> int:
    better = await db.scalar(select(func.count()).select_from(Player).where(Player.total_score > player.total_score))
    return 1 + (better or 0)


def _standing(player: Player, rank: int) -> dict[str, Any]:
    return {
        "user_id": str(player.id),
        "username": player.username,
        "total_score": player.total_score,
        "games_played": player.games_played,
        "rank": rank,
    }
