"""All sessions of one shard in order of their ids, however many: a cursor, read a batch at a time."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass

from db.postgres import Postgres
from domain.ids import instant_of
from domain.standing import Session

_BATCH = 5_000

_OWNED = "select array_agg(bucket) from bucket_owner"

# The buckets are a parameter and the shown name is a subquery, because a join would end the order in which the
# partitions' indexes are already.
_SESSIONS = """
    select
        s.id,
        s.user_id,
        s.score,
        s.game_mode,
        s.duration_seconds,
        s.username,
        (
            select p.username
            from players as p
            join leaderboard as l on l.bucket = p.bucket and l.board_id = 1 and l.user_id = p.user_id
            where p.bucket = s.bucket and p.user_id = s.user_id and p.username <> s.username
                and l.last_played = timestamptz 'epoch'
                    + ('x' || left(replace(s.id::text, '-', ''), 12))::bit(48)::bigint * interval '1 millisecond'
        ) as shown_username
    from game_sessions as s
    where s.bucket = any ($1::smallint[])
    order by s.id
"""


@dataclass(frozen=True, slots=True)
class NamedSession:
    """A session with the name that came with it.

    `shown_username` is the name by which the player is known now, where this is the player's newest session and its
    name is another.
    """

    session: Session
    username: str
    shown_username: str | None


async def stream_sessions(postgres: Postgres) -> AsyncGenerator[list[NamedSession], None]:
    """The sessions of the buckets that the shard owns, oldest first, as of one moment, in batches.

    Args:
        postgres: not behind a PgBouncer, which ends statements that take long.

    Raises:
        Unavailable: the Postgres does not answer.
    """
    async with postgres.raw() as connection, connection.transaction(isolation="repeatable_read", readonly=True):
        # Whoever reads several shards at once lets the others wait for the slowest.
        await connection.execute("set local idle_in_transaction_session_timeout = 0")
        cursor = await connection.cursor(_SESSIONS, await connection.fetchval(_OWNED) or [])
        while rows := await cursor.fetch(_BATCH):
            yield [
                NamedSession(Session(id_, user_id, score, mode, duration, instant_of(id_)), username, shown)
                for id_, user_id, score, mode, duration, username, shown in rows
            ]
