"""How far a shard's write-ahead log has come: at the primary, and at a replica that follows it."""

from __future__ import annotations

from dataclasses import dataclass

from db.postgres import Postgres
from domain.resilience.limits import REPLICA_LOOK_S_MAX

# Up to where the log is on disk: all that was acknowledged lies before it, and nothing beyond it is sent to a replica.
_READ = """
    select
        pg_is_in_recovery() as follows,
        (
            case when pg_is_in_recovery() then pg_last_wal_replay_lsn() else pg_current_wal_flush_lsn() end
            - '0/0'::pg_lsn
        )::bigint as position,
        (select system_identifier from pg_control_system()) as system,
        (select timeline_id from pg_control_checkpoint()) as timeline
"""


@dataclass(frozen=True, slots=True)
class LogPosition:
    """Where a Postgres stands.

    follows: whether it replays the log of another one.
    position: bytes of the log that are on disk at a primary, or replayed at a replica; None at one that does not say.
    system: what tells a primary and its copies from all others.
    timeline: grows whenever a copy becomes a primary of its own.
    """

    follows: bool
    position: int | None
    system: int
    timeline: int


async def read_log_position(postgres: Postgres) -> LogPosition:
    """Where a primary or a replica stands now; asked within `REPLICA_LOOK_S_MAX`.

    Raises:
        Unavailable: it does not answer.
        OperatorError: it belongs to another shard.
    """
    ((follows, position, system, timeline),) = await postgres.call(_READ, timeout_s=REPLICA_LOOK_S_MAX)
    return LogPosition(follows, position, system, timeline)
