"""Two tables: players with their totals, and sessions."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from sqlalchemy import BigInteger, DateTime, ForeignKey, Index, String
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

# A schema of its own, so that it can lie in the database of one shard beside the service's tables.
SCHEMA = "plain"


class Base(DeclarativeBase):
    """The tables of the plain design."""


class Player(Base):
    """A player with the running total."""

    __tablename__ = "players"
    __table_args__ = (Index("players_by_total", "total_score", "id"),)

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    username: Mapped[str] = mapped_column(String(100))
    total_score: Mapped[int] = mapped_column(BigInteger)
    games_played: Mapped[int]
    last_played: Mapped[datetime] = mapped_column(DateTime(timezone=True))


class GameSession(Base):
    """One played session; its id is the client's."""

    __tablename__ = "game_sessions"
    __table_args__ = (Index("game_sessions_by_player", "player_id", "id"),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    player_id: Mapped[int] = mapped_column(ForeignKey("players.id"))
    score: Mapped[int] = mapped_column(BigInteger)
    game_mode: Mapped[str | None] = mapped_column(String(50))
    duration_seconds: Mapped[int | None]
    played_at: Mapped[datetime] = mapped_column(DateTime(timezone=True))
