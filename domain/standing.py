"""What readers get: standings with their ranks, sessions, and pages of both."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from msgspec import Struct

GLOBAL_BOARD = "global"


class Standing(Struct, frozen=True, gc=False):
    """A player's place on a board.

    `rank` is the standard competition rank, 1 + the number of players with a better total; `percentile` the share
    (0..100) of the board's players whose total is not better. Both are None only while ranks are unavailable.
    """

    user_id: int
    username: str
    total_score: int
    games_played: int
    last_played: datetime
    rank: int | None
    percentile: float | None


class Row(Struct, frozen=True, gc=False):
    """A player's row on a board as a shard holds it: a standing without its rank.

    `revision` grows by one with each change of the row and moves with it; of two states of a row the one with the
    higher revision is the newer.
    """

    user_id: int
    username: str
    total_score: int
    games_played: int
    last_played: datetime
    revision: int


class Player(Struct, frozen=True, gc=False):
    """Who plays; `created_at` is when the service first saw them."""

    user_id: int
    username: str
    created_at: datetime


class Session(Struct, frozen=True, gc=False):
    """One played game with a score, as it was recorded; `played_at` is the time its id carries."""

    id: UUID
    user_id: int
    score: int
    game_mode: str | None
    duration_seconds: int | None
    played_at: datetime


class Recorded(Struct, frozen=True):
    """The answer to a submission: the session, the player's standing after it, and whether it was there before."""

    session: Session
    standing: Standing
    duplicate: bool


class StandingPage(Struct, frozen=True):
    """Standings of one board, best first. `position` counts the standings before the first one of the page."""

    standings: Sequence[Standing]
    position: int
    total_count: int
    has_next: bool
    as_of: datetime


class Top(Struct, frozen=True):
    """The first standings of a board as they were at one moment, as watchers are shown them.

    `sequence` grows with each change of the board: of two tops of a board the one with the higher number is the newer,
    and tops with the same number are cut from the same standings, whichever process read them.
    """

    board: str
    sequence: int
    entries: Sequence[Standing]
    as_of: datetime


class SessionPage(Struct, frozen=True):
    """Sessions of one player, newest first; `total_count` is the number of the player's sessions in all."""

    sessions: Sequence[Session]
    total_count: int
    has_previous: bool
    has_next: bool


def percentile_of(rank: int, player_count: int) -> float:
    """The share, 0..100, of `player_count` players whose total is not better than that of the player at `rank`."""
    return 100.0 * (player_count - rank + 1) / player_count if player_count else 100.0
