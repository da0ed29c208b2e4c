"""Watch the top of a board: its state now, and again each time it changes."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from domain.board import check_board, check_page_size
from domain.standing import Top
from service.parts import Parts


async def watch_top(parts: Parts, board: str, first: int) -> AsyncGenerator[Top, None]:
    """The `first` (1..100) best standings of a board, at once and whenever the board changed.

    Raises:
        NotFound: there is no such board.
        BadUserInput: `first` is out of range.
        Unavailable: neither Redis nor every shard answers, and nothing was read before.
    """
    check_board(board)
    check_page_size(first)
    async with parts.watches.of(board, first) as tops:
        async for top in tops:
            yield top
