"""The part of the public schema that the benchmark asks for, with the same names."""

from __future__ import annotations

from datetime import datetime
from typing import NewType
from uuid import UUID

import strawberry
from strawberry.types.scalar import ScalarDefinition

Score = NewType("Score", int)
SCALARS: dict[object, ScalarDefinition] = {Score: strawberry.scalar(name="Score", serialize=int, parse_value=int)}


@strawberry.input
class SubmitScoreInput:
    """One played session."""

    user_id: strawberry.ID
    username: str
    score: Score
    submission_id: UUID
    game_mode: str | None = None
    duration_seconds: int | None = None


@strawberry.type
class Standing:
    """A player's total; the rank where it was asked for by `rank` or `leaderboard`."""

    user_id: strawberry.ID
    username: str
    total_score: Score
    games_played: int
    rank: int | None = None


@strawberry.type
class GameSession:
    """One played session."""

    id: UUID
    score: Score
    game_mode: str | None
    duration_seconds: int | None
    played_at: datetime


@strawberry.type
class SubmitScorePayload:
    """What a submission answers."""

    duplicate: bool
    session: GameSession
    standing: Standing


@strawberry.type
class LeaderboardConnection:
    """The top."""

    nodes: list[Standing]
    total_count: int


@strawberry.type
class PageInfo:
    """Whether there is more."""

    has_next_page: bool
    end_cursor: str | None


@strawberry.type
class SessionConnection:
    """A player's newest sessions."""

    nodes: list[GameSession]
    page_info: PageInfo
    total_count: int
