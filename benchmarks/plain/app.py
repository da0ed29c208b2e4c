"""The plain design as a FastAPI application with Strawberry's own router."""

from __future__ import annotations

import strawberry
from fastapi import FastAPI
from strawberry.extensions import ParserCache, ValidationCache
from strawberry.fastapi import GraphQLRouter
from strawberry.schema.config import StrawberryConfig

from benchmarks.plain import tables
from benchmarks.plain.store import Store
from benchmarks.plain.types import (
    SCALARS,
    GameSession,
    LeaderboardConnection,
    PageInfo,
    Score,
    SessionConnection,
    Standing,
    SubmitScoreInput,
    SubmitScorePayload,
)

store = Store()


@strawberry.type
class Query:
    """The reads."""

    @strawberry.field
    async def leaderboard(self, first: int = 10) -> LeaderboardConnection:
        """The top."""
        top = await store.read_top(first)
        return LeaderboardConnection(nodes=[Standing(**p) for p in top["players"]], total_count=top["count"])

    @strawberry.field
    async def rank(self, user_id: strawberry.ID) -> Standing | None:
        """One player."""
        found = await store.read_rank(int(user_id))
        return None if found is None else Standing(**found)

    @strawberry.field
    async def history(self, user_id: strawberry.ID, first: int = 20) -> SessionConnection:
        """A player's newest sessions."""
        sessions, count = await store.read_history(int(user_id), first)
        page = [_shown(one) for one in sessions[:first]]
        info = PageInfo(has_next_page=len(sessions) > first, end_cursor=str(page[-1].id) if page else None)
        return SessionConnection(nodes=page, page_info=info, total_count=count)


@strawberry.type
class Mutation:
    """The write."""

    @strawberry.mutation
    async def submit_score(self, input: SubmitScoreInput) -> SubmitScorePayload:
        """One session."""
        session, player, duplicate = await store.submit(input)
        standing = Standing(
            user_id=strawberry.ID(str(player.id)),
            username=player.username,
            total_score=Score(player.total_score),
            games_played=player.games_played,
        )
        return SubmitScorePayload(duplicate=duplicate, session=_shown(session), standing=standing)


def _shown(session: tables.GameSession) -> GameSession:
    return GameSession(
        id=session.id,
        score=Score(session.score),
        game_mode=session.game_mode,
        duration_seconds=session.duration_seconds,
        played_at=session.played_at,
    )


schema = strawberry.Schema(
    Query, Mutation, config=StrawberryConfig(scalar_map=SCALARS), extensions=[ParserCache, ValidationCache]
)
app = FastAPI()
app.include_router(GraphQLRouter(schema), prefix="/graphql")
