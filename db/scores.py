"""Recording sessions: the batch statement of the write path."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Literal
from uuid import UUID

from msgspec import Struct

from db.postgres import Postgres
from domain.resilience.limits import ID_CHECK_S_MAX
from domain.standing import Row
from domain.submission import Submission

Outcome = Literal["recorded", "duplicate", "conflict", "frozen", "moved"]

_RECORD = (
    "select outcome, total, games, last_played, board_total, board_games, board_last_played, board_revision "
    "from record_sessions($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)"
)
# One by one: each id then leads to its own partition alone.
_FIND = """
    select k.id, g.user_id
    from unnest($1::uuid[]) as k (id)
    cross join lateral (select s.user_id from game_sessions as s where s.id = k.id limit 1) as g
"""


class Outcomes(Struct, frozen=True):
    """What became of one submission of a batch.

    `total`, `games` and `last_played` are the standing right after it and are set when the outcome is `recorded` or
    `duplicate`; `row` is the player's row as the batch left it, set where the batch changed it.
    """

    outcome: Outcome
    total: int
    games: int
    last_played: datetime
    row: Row | None


async def record_sessions(
    postgres: Postgres, batch: Sequence[tuple[int, Submission]], *, rename: bool = True, timeout_s: float | None = None
) -> list[Outcomes]:
    """Record (bucket, submission) pairs in one statement and one transaction; one answer each, in the order given.

    Args:
        rename: whether a name given is shown from now on; when False, only if its session is the player's newest. Which
            name a row shows is then the shard's to tell: the outcomes hold none, the relay carries them.

    Raises:
        Unavailable: the shard does not answer; whether the batch was recorded is not known, sending it again is safe.
        asyncpg.PostgresError: the statement was refused and nothing was recorded.
    """
    rows = await postgres.call(
        _RECORD,
        [s.id for _, s in batch],
        [s.id.int >> 80 for _, s in batch],
        [bucket for bucket, _ in batch],
        [s.user_id for _, s in batch],
        [s.username for _, s in batch],
        [s.score for _, s in batch],
        [s.game_mode for _, s in batch],
        [s.duration_seconds for _, s in batch],
        [s.recorded_us for _, s in batch],
        rename,
        timeout_s=timeout_s,
    )
    # The name a changed row shows is the last one recorded for its player in this batch.
    names = {s.user_id: s.username for (_, s), row in zip(batch, rows, strict=True) if row[0] == "recorded"}
    return [
        Outcomes(
            outcome,
            total,
            games,
            last_played,
            Row(s.user_id, names.get(s.user_id, s.username), b_total, b_games, b_last, b_revision)
            if b_revision is not None and rename
            else None,
        )
        for (_, s), (outcome, total, games, last_played, b_total, b_games, b_last, b_revision) in zip(
            batch, rows, strict=True
        )
    ]


async def find_sessions(
    postgres: Postgres, ids: Sequence[UUID], *, timeout_s: float = ID_CHECK_S_MAX
) -> dict[UUID, int]:
    """Which of the sessions this shard holds, and whose they are.

    Raises:
        Unavailable: the shard does not answer.
    """
    return {row[0]: row[1] for row in await postgres.ask(_FIND, ids, timeout_s=timeout_s)}
