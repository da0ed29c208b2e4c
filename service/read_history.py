"""A player's sessions, newest first, page by page."""

from __future__ import annotations

from db.history import NEWEST, HistoryRequest
from domain.board import SKIP_MAX, check_page_size, check_range
from domain.cursor import parse_session_cursor
from domain.errors import BadUserInput
from domain.standing import SessionPage
from domain.submission import GAME_MODE_LENGTH_MAX
from service.parts import Parts


async def read_history(
    parts: Parts, user_id: int, first: int, after: str | None, game_mode: str | None, skip: int = 0
) -> SessionPage:
    """The `first` (1..100) newest sessions older than the cursor `after`, of one game mode or of all.

    Args:
        skip: leave out so many of the newest of these, 0..1000; they are read all the same.

    Raises:
        BadUserInput: `first`, `after`, `game_mode` or `skip` is none.
        Unavailable: the player's shard does not answer.
    """
    check_page_size(first)
    check_range(skip, 0, SKIP_MAX, "skip")
    if game_mode is not None and ("\0" in game_mode or not 1 <= len(game_mode) <= GAME_MODE_LENGTH_MAX):
        raise BadUserInput(f"gameMode must have 1 to {GAME_MODE_LENGTH_MAX} characters, none of them NUL.")
    before = NEWEST if after is None else parse_session_cursor(after, user_id)
    # One more than asked for tells whether there is a next page.
    rows = await parts.router.history(
        user_id, lambda bucket: HistoryRequest(bucket, user_id, before, game_mode, skip + first + 1)
    )
    return SessionPage(
        rows.sessions[skip : skip + first],
        rows.games_played,
        has_previous=after is not None or skip > 0,
        has_next=len(rows.sessions) > skip + first,
    )
