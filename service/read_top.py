"""The standings of a board, best first, page by page."""

from __future__ import annotations

from domain.board import check_board, check_page_size
from domain.cursor import parse_standing_cursor
from domain.standing import StandingPage
from ranking.store import RanksUnavailable
from service.parts import Parts


async def read_top(parts: Parts, board: str, first: int, after: str | None) -> StandingPage:
    """The `first` (1..100) best standings behind the cursor `after`; from the top where it is None.

    Raises:
        NotFound: there is no such board.
        BadUserInput: `first` or `after` is none.
        Unavailable: neither Redis nor every shard answers.
    """
    check_board(board)
    check_page_size(first)
    place = None if after is None else parse_standing_cursor(after, board)
    try:
        return await parts.projection.page(first, place)
    except RanksUnavailable:
        return await parts.sql_ranks.page(first, place)
