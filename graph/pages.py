"""Pages of standings and of sessions: the connections of the contract. Cursors are made only when asked for."""

# Descriptions in the schema stand for docstrings, and Strawberry types its decorators with arguments as Any.
# ruff: noqa: D101, D102
# mypy: disable-error-code="untyped-decorator"
from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial

import strawberry

from domain import standing as domain
from domain.cursor import session_cursor, standing_cursor
from graph.types import GameSession, Standing


@strawberry.type
class StandingEdge:
    board: strawberry.Private[str]
    standing: strawberry.Private[domain.Standing]

    @strawberry.field
    def cursor(self) -> str:
        return _standing_cursor(self.board, self.standing)

    @strawberry.field(graphql_type=Standing)
    def node(self) -> domain.Standing:
        return self.standing


@strawberry.type
class SessionEdge:
    session: strawberry.Private[domain.Session]

    @strawberry.field
    def cursor(self) -> str:
        return _session_cursor(self.session)

    @strawberry.field(graphql_type=GameSession)
    def node(self) -> domain.Session:
        return self.session


@strawberry.type
class PageInfo:
    has_next_page: bool
    has_previous_page: bool
    cursors: strawberry.Private[tuple[Callable[[], str], Callable[[], str]] | None]

    @strawberry.field
    def start_cursor(self) -> str | None:
        return self.cursors[0]() if self.cursors else None

    @strawberry.field
    def end_cursor(self) -> str | None:
        return self.cursors[1]() if self.cursors else None


@strawberry.type
class LeaderboardConnection:
    board: strawberry.Private[str]
    page: strawberry.Private[domain.StandingPage]
    cached: bool = strawberry.field(description="Whether the answer came from a cache.", default=False)

    @strawberry.field
    def edges(self) -> list[StandingEdge]:
        board = self.board
        return [StandingEdge(board=board, standing=standing) for standing in self.page.standings]

    @strawberry.field(graphql_type=list[Standing])
    def nodes(self) -> Sequence[domain.Standing]:
        return self.page.standings

    @strawberry.field
    def page_info(self) -> PageInfo:
        standings = self.page.standings
        return PageInfo(
            has_next_page=self.page.has_next,
            has_previous_page=self.page.position > 0,
            cursors=(
                partial(_standing_cursor, self.board, standings[0]),
                partial(_standing_cursor, self.board, standings[-1]),
            )
            if standings
            else None,
        )

    @strawberry.field(description="Players with a standing on this board.")
    def total_count(self) -> int:
        return self.page.total_count

    @strawberry.field(description="The instant at which this answer was true.")
    def as_of(self) -> datetime:
        return self.page.as_of


@strawberry.type
class SessionConnection:
    page: strawberry.Private[domain.SessionPage]

    @strawberry.field
    def edges(self) -> list[SessionEdge]:
        return [SessionEdge(session=session) for session in self.page.sessions]

    @strawberry.field(graphql_type=list[GameSession])
    def nodes(self) -> Sequence[domain.Session]:
        return self.page.sessions

    @strawberry.field
    def page_info(self) -> PageInfo:
        sessions = self.page.sessions
        return PageInfo(
            has_next_page=self.page.has_next,
            has_previous_page=self.page.has_previous,
            cursors=(partial(_session_cursor, sessions[0]), partial(_session_cursor, sessions[-1]))
            if sessions
            else None,
        )

    @strawberry.field(description="The player's sessions in all, whatever the filter.")
    def total_count(self) -> int:
        return self.page.total_count


def _standing_cursor(board: str, standing: domain.Standing) -> str:
    return standing_cursor(board, standing.total_score, standing.user_id)


def _session_cursor(session: domain.Session) -> str:
    return session_cursor(session.user_id, session.id)
