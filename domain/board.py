"""What may be asked of a board."""

from __future__ import annotations

from domain.errors import BadUserInput, NotFound
from domain.standing import GLOBAL_BOARD

PAGE_SIZE_MAX = 100
IDS_MAX = 100
RADIUS_MAX = 50
SKIP_MAX = 1000
INPUTS_MAX = 1000
RECENT_SESSIONS_MAX = 20


def check_board(board: str) -> str:
    """The board, if there is one of that name.

    Raises:
        NotFound: there is none.
    """
    if board != GLOBAL_BOARD:
        shown = board if len(board) <= 60 else board[:60] + "…"
        raise NotFound(f"There is no board {shown!r}; the board {GLOBAL_BOARD!r} always exists.")
    return board


def check_range(value: int, low: int, high: int, where: str) -> int:
    """The value, if it lies between `low` and `high`, both included.

    Raises:
        BadUserInput: it does not.
    """
    if not low <= value <= high:
        raise BadUserInput(f"{where} must lie between {low} and {high}; got {value}.")
    return value


def check_page_size(first: int, where: str = "first") -> int:
    """The size of a page, 1 to 100.

    Raises:
        BadUserInput: it is another.
    """
    return check_range(first, 1, PAGE_SIZE_MAX, where)
