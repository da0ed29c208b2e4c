"""Reading sessions: a player's history, and the newest few of many players."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from msgspec import Struct

from db.postgres import Postgres
from domain.ids import instant_of
from domain.standing import Session

_READ = "select ord, mine, games, id, score, game_mode, duration_seconds from read_history($1, $2, $3, $4, $5)"
NEWEST = UUID(int=2**128 - 1)


class HistoryRequest(Struct, frozen=True, gc=False):
    """The newest `limit` sessions of a player that are older than the session `before`, of one game mode or of all."""

    bucket: int
    user_id: int
    before: UUID
    game_mode: str | None
    limit: int


class HistoryRows(Struct, frozen=True):
    """Sessions, newest first, and the number of all the player ever had."""

    sessions: list[Session]
    games_played: int


async def read_history(postgres: Postgres, requests: Sequence[HistoryRequest]) -> list[HistoryRows | None]:
    """Answer several requests in one statement, in order; None where this shard does not own the player's bucket.

    Raises:
        Unavailable: the shard does not answer.
    """
    rows = await postgres.ask(
        _READ,
        [r.bucket for r in requests],
        [r.user_id for r in requests],
        [r.before for r in requests],
        [r.game_mode for r in requests],
        [r.limit for r in requests],
    )
    answers: list[HistoryRows | None] = [None] * len(requests)
    for ord_, mine, games, id_, score, game_mode, duration_seconds in rows:
        if not mine:
            continue
        answer = answers[ord_ - 1]
        if answer is None:
            answer = answers[ord_ - 1] = HistoryRows([], games or 0)
        if id_ is not None:
            answer.sessions.append(
                Session(id_, requests[ord_ - 1].user_id, score, game_mode, duration_seconds, instant_of(id_))
            )
    return answers


async def read_newest(
    postgres: Postgres, keys: Sequence[tuple[int, int]], *, count: int
) -> tuple[dict[int, list[Session]], list[int]]:
    """The newest `count` sessions of (bucket, user id) pairs, by user id, and the user ids that are another shard's.

    Raises:
        Unavailable: the shard does not answer.
    """
    found = await read_history(postgres, [HistoryRequest(b, user_id, NEWEST, None, count) for b, user_id in keys])
    sessions = {user_id: rows.sessions for (_, user_id), rows in zip(keys, found, strict=True) if rows is not None}
    return sessions, [user_id for _, user_id in keys if user_id not in sessions]
