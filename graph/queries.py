"""The root fields that read."""

# Descriptions in the schema stand for docstrings, and Strawberry types its decorators with arguments as Any.
# ruff: noqa: D101, D102
# mypy: disable-error-code="untyped-decorator"
from __future__ import annotations

import strawberry

from domain import standing as domain
from domain.ids import parse_user_id
from graph.context import Info
from graph.pages import LeaderboardConnection, SessionConnection
from graph.types import Standing
from service.read_history import read_history
from service.read_standing import read_around, read_standing, read_standings
from service.read_top import read_top

GLOBAL_BOARD = strawberry.ID(domain.GLOBAL_BOARD)


def given(value: str | None) -> str | None:
    """An optional argument without a default: None where the client left it out."""
    return None if value is strawberry.UNSET else value


@strawberry.type
class Query:
    @strawberry.field(
        description="The top of a board, best first. `first` is 1..100. `after` is a cursor of an earlier page."
    )
    async def leaderboard(
        self, info: Info, board: strawberry.ID = GLOBAL_BOARD, first: int = 10, after: str | None = strawberry.UNSET
    ) -> LeaderboardConnection:
        page = await read_top(info.context.parts, board, first, given(after))
        return LeaderboardConnection(board=board, page=page)

    @strawberry.field(
        graphql_type=Standing | None,
        description="One player's standing on a board; null for a player who has no standing there.",
    )
    async def rank(
        self, info: Info, user_id: strawberry.ID, board: strawberry.ID = GLOBAL_BOARD
    ) -> domain.Standing | None:
        return await read_standing(info.context.parts, board, parse_user_id(user_id))

    @strawberry.field(
        graphql_type=list[Standing | None],
        description=(
            "Standings of several players at once, in the order asked for; null where a player has none. "
            "At most 100 ids."
        ),
    )
    async def ranks(
        self, info: Info, user_ids: list[strawberry.ID], board: strawberry.ID = GLOBAL_BOARD
    ) -> list[domain.Standing | None]:
        checked = [parse_user_id(text, f"userIds[{index}]") for index, text in enumerate(user_ids)]
        return await read_standings(info.context.parts, board, checked)

    @strawberry.field(
        graphql_type=list[Standing] | None,
        description=(
            "The players just above and below one player, that player included; null when the player has no standing."
        ),
    )
    async def around(
        self, info: Info, user_id: strawberry.ID, radius: int = 5, board: strawberry.ID = GLOBAL_BOARD
    ) -> list[domain.Standing] | None:
        return await read_around(info.context.parts, board, parse_user_id(user_id), radius)

    @strawberry.field(description="A player's sessions, newest first. `first` is 1..100.")
    async def history(
        self,
        info: Info,
        user_id: strawberry.ID,
        first: int = 20,
        after: str | None = strawberry.UNSET,
        game_mode: str | None = strawberry.UNSET,
    ) -> SessionConnection:
        page = await read_history(info.context.parts, parse_user_id(user_id), first, given(after), given(game_mode))
        return SessionConnection(page=page)
