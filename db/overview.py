"""One shard at a glance, for operators."""

from __future__ import annotations

from dataclasses import dataclass

import asyncpg

from db.postgres import Postgres
from domain.errors import NoTables

# The planner's counts, which cost nothing; tables that nobody has analyzed yet are small or new, and are counted.
_READ = """
    select
        (select count(*) from bucket_owner) as buckets,
        (
            select case when c.reltuples >= 0 then c.reltuples::bigint else (select count(*) from leaderboard) end
            from pg_class as c
            where c.oid = 'leaderboard'::regclass
        ) as players,
        (
            select
                case when bool_or(c.reltuples < 0 and pg_relation_size(c.oid) > 0)
                    then (select count(*) from game_sessions)
                    else coalesce(sum(greatest(c.reltuples, 0)), 0)::bigint
                end
            from pg_inherits as i
            join pg_class as c on c.oid = i.inhrelid
            where i.inhparent = 'game_sessions'::regclass
        ) as sessions,
        pg_database_size(current_database()) as bytes,
        (select version_num from alembic_version) as schema_version,
        split_part(current_setting('server_version'), ' ', 1) as server_version,
        s.slots,
        s.lag_bytes,
        s.lost
    from (
        select
            count(*) as slots,
            max(pg_wal_lsn_diff(pg_current_wal_lsn(), coalesce(confirmed_flush_lsn, restart_lsn)))::bigint as lag_bytes,
            count(*) filter (where wal_status = 'lost') as lost
        from pg_replication_slots
    ) as s
"""
_TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True)
class Overview:
    """What a shard holds; players and sessions are estimates.

    slots: replication slots, whoever made them.
    lag_bytes: WAL that the slowest of their readers has not confirmed; None without slots.
    slots_lost: slots for which WAL is gone that their readers needed.
    """

    buckets: int
    players_estimated: int
    sessions_estimated: int
    bytes: int
    schema_version: str
    server_version: str
    slots: int
    lag_bytes: int | None
    slots_lost: int


async def read_overview(postgres: Postgres) -> Overview:
    """Look at one shard.

    Raises:
        Unavailable: it does not answer.
        OperatorError: it has no tables yet, or is another shard.
    """
    try:
        (row,) = await postgres.call(_READ, timeout_s=_TIMEOUT_S)
    except asyncpg.UndefinedTableError as error:
        raise NoTables(postgres.name) from error
    return Overview(*row)
