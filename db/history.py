"""Reading sessions: a player's history, and the newest few of many players."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from db.postgres import Postgres
from domain.ids import instant_of
from domain.standing import Session

_READ = "select ord, games, id, score, game_mode, duration_seconds from read_history($1, $2, $3, $4, $5)"
NEWEST = UUID(int=2**128 - 1)


@dataclass(frozen=True, slots=True)
class HistoryRequest:
    """The newest `limit` sessions of a player that are older than the session `before`, of one game mode or of all."""

    bucket: int
    user_id: int
    before: UUID
    game_mode: str | None
    limit: int


@dataclass(frozen=True, slots=True)
class HistoryRows:
    """Sessions, newest first, and the number of all the player ever had."""

    sessions: list[Session]
    games_played: int


async def read_history(postgres: Postgres, requests: Sequence[HistoryRequest]) -> list[HistoryRows]:
    """Answer several requests in one statement, in order.

    Raises:
        Unavailable: the shard does not answer.
    """
    rows = await postgres.call(
        _READ,
        [r.bucket for r in requests],
        [r.user_id for r in requests],
        [r.before for r in requests],
        [r.game_mode for r in requests],
        [r.limit for r in requests],
    )
    answers = [HistoryRows([], 0) for _ in requests]
    for ord_, games, id_, score, game_mode, duration_seconds in rows:
        request = requests[ord_ - 1]
        if id_ is None:
            answers[ord_ - 1] = HistoryRows([], games or 0)
            continue
        answer = answers[ord_ - 1]
        if not answer.sessions:
            answer = answers[ord_ - 1] = HistoryRows([], games)
        answer.sessions.append(Session(id_, request.user_id, score, game_mode, duration_seconds, instant_of(id_)))
    return answers
