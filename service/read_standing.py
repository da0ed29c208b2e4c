"""Where players stand: one, several, or one among its neighbours."""

from __future__ import annotations

from collections.abc import Sequence

from domain.board import IDS_MAX, RADIUS_MAX, check_board, check_range
from domain.standing import Standing
from ranking.store import RanksUnavailable
from service.parts import Parts


async def read_standing(parts: Parts, board: str, user_id: int) -> Standing | None:
    """A player's standing; None where the player has none.

    Raises:
        NotFound: there is no such board.
        Unavailable: neither Redis nor every shard answers.
    """
    check_board(board)
    try:
        return await parts.projection.standing(user_id)
    except RanksUnavailable:
        return (await parts.sql_ranks.standings([user_id]))[0]


async def read_standings(parts: Parts, board: str, user_ids: Sequence[int]) -> list[Standing | None]:
    """Up to 100 players' standings, in the order asked for; None where a player has none.

    Raises:
        NotFound: there is no such board.
        BadUserInput: more ids than that.
        Unavailable: neither Redis nor every shard answers.
    """
    check_board(board)
    check_range(len(user_ids), 0, IDS_MAX, "the number of userIds")
    if not user_ids:
        return []
    try:
        return await parts.projection.standings(user_ids)
    except RanksUnavailable:
        return await parts.sql_ranks.standings(user_ids)


async def read_around(parts: Parts, board: str, user_id: int, radius: int) -> list[Standing] | None:
    """The player's standing and up to `radius` (0..50) on both sides; None where the player has none.

    Raises:
        NotFound: there is no such board.
        BadUserInput: `radius` is out of its range.
        Unavailable: neither Redis nor every shard answers.
    """
    check_board(board)
    check_range(radius, 0, RADIUS_MAX, "radius")
    try:
        return await parts.projection.around(user_id, radius)
    except RanksUnavailable:
        return await parts.sql_ranks.around(user_id, radius)
