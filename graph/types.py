"""The output types of the contract.

Their sources are mostly the domain's own objects: a field is an attribute of the source, so that a page of a hundred
standings costs no hundred wrappers. Where a field has to be computed, its resolver takes the source as `self`.
"""

# Descriptions in the schema stand for docstrings, and Strawberry types its decorators with arguments as Any.
# ruff: noqa: D101, D102
# mypy: disable-error-code="untyped-decorator"
from __future__ import annotations

from asyncio import Future
from datetime import datetime
from uuid import UUID

import strawberry

from domain import errors
from domain import standing as domain
from domain.board import RECENT_SESSIONS_MAX, check_range
from graph.context import Info
from graph.scalars import Score

strawberry.enum(errors.ErrorCode, description="Also found in `extensions.code` of every top-level GraphQL error.")

_CODE_DESCRIPTIONS = {
    errors.ErrorCode.RATE_LIMITED: "Too many requests; `extensions.retryAfter` holds whole seconds.",
    errors.ErrorCode.QUERY_TOO_COMPLEX: "The query is too deep, too wide or too dear; nothing ran.",
    errors.ErrorCode.UNAVAILABLE: "A part that this needs does not answer; safe to retry with the same submissionId.",
}
for _value in errors.ErrorCode.__strawberry_definition__.values:  # type: ignore[attr-defined]
    _value.description = _CODE_DESCRIPTIONS.get(errors.ErrorCode(_value.value))


@strawberry.type
class GameSession:
    """Its source is a `domain.standing.Session`."""

    id: UUID
    user_id: strawberry.ID
    score: Score
    game_mode: str | None
    duration_seconds: int | None
    played_at: datetime


@strawberry.type
class Standing:
    """Its source is a `domain.standing.Standing`."""

    rank: int | None = strawberry.field(
        description=(
            "Standard competition rank (1224): 1 + the number of players with a better total. "
            "Null only while ranks are unavailable."
        )
    )
    user_id: strawberry.ID
    username: str
    total_score: Score
    games_played: int
    last_played: datetime
    percentile: float | None = strawberry.field(
        description=(
            "Share of the board's players, 0..100, whose total is not better than this one's; the leader has 100. "
            "Null only while ranks are unavailable."
        )
    )

    @strawberry.field(
        graphql_type=datetime | None,
        description="When the player was first seen; asks the player's shard. Null while that does not answer.",
    )
    def joined_at(self, info: Info) -> Future[datetime | None]:
        return info.context.loaders.joined_at(int(self.user_id))

    @strawberry.field(
        graphql_type=list[GameSession] | None,
        description=(
            f"The player's newest sessions, newest first; asks the player's shard. `first` is 1..{RECENT_SESSIONS_MAX}."
            " Null while the shard does not answer."
        ),
    )
    def recent_sessions(self, info: Info, first: int = 5) -> Future[list[domain.Session]]:
        check_range(first, 1, RECENT_SESSIONS_MAX, "first")
        return info.context.loaders.recent_sessions(int(self.user_id), first)


@strawberry.type
class TopChange:
    """Its source is a `domain.standing.Top`."""

    board: strawberry.ID
    sequence: Score = strawberry.field(description="Grows with each change that this board's subscribers are sent.")
    entries: list[Standing]
    as_of: datetime


@strawberry.type
class SubmitScorePayload:
    """Its source is a `domain.standing.Recorded`."""

    session: GameSession
    standing: Standing = strawberry.field(description="The player's standing on the board `global` after this session.")
    duplicate: bool


@strawberry.type
class SubmitScoreError:
    code: errors.ErrorCode
    message: str


@strawberry.type(description="Exactly one of the two is set.")
class SubmitScoreResult:
    payload: SubmitScorePayload | None
    error: SubmitScoreError | None
