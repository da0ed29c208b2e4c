"""Does one shard add up? Every player's rows, looked at in one snapshot, so that traffic does not disturb it."""

from __future__ import annotations

from dataclasses import dataclass

from db.postgres import Postgres

# The buckets that the shard owns; what it holds of others is counted by db.clean_up.
_OWNED = "(select o.bucket from bucket_owner as o)"

_COUNTS = f"""
    select
        (select count(*) from players where bucket in {_OWNED}),
        (select count(*) from game_sessions where bucket in {_OWNED})
"""

# Where months were pruned, a player's total counts sessions that are gone: it is compared where all are there.
_TOTALS = f"""
    select
        coalesce(l.user_id, s.user_id) as user_id,
        format(
            'total %s of %s game(s), sessions sum up to %s of %s',
            coalesce(l.total_score::text, 'none'), coalesce(l.games_played, 0),
            coalesce(s.total, 0), coalesce(s.games, 0)
        ) as what
    from (select * from leaderboard where board_id = 1 and bucket in {_OWNED}) as l
    full join (
        select bucket, user_id, sum(score)::bigint as total, count(*) as games
        from game_sessions
        where bucket in {_OWNED}
        group by bucket, user_id
    ) as s on s.bucket = l.bucket and s.user_id = l.user_id
    where l.user_id is null
        or coalesce(s.games, 0) > l.games_played
        or (coalesce(s.games, 0) = l.games_played and coalesce(s.total, 0) <> l.total_score)
        or (coalesce(s.games, 0) < l.games_played and (select i.pruned_before is null from shard_info as i))
    order by 1
"""
_MISPLACED = """
    select user_id, format('%s has it in bucket %s, its bucket is %s', held.place, bucket, bucket_of(user_id)) as what
    from (
        select bucket, user_id, 'players' as place from players
        union all
        select bucket, user_id, 'leaderboard' from leaderboard
        union all
        select distinct bucket, user_id, 'game_sessions' from game_sessions
    ) as held
    where bucket <> bucket_of(user_id)
    order by 1
"""
_UNNAMED = f"""
    select coalesce(l.user_id, p.user_id) as user_id,
        case when p.user_id is null then 'has a standing and no name' else 'has a name and no standing' end as what
    from (select * from leaderboard where board_id = 1 and bucket in {_OWNED}) as l
    full join (select * from players where bucket in {_OWNED}) as p on p.bucket = l.bucket and p.user_id = l.user_id
    where l.user_id is null or p.user_id is null
    order by 1
"""


@dataclass(frozen=True, slots=True)
class Fault:
    """Something about a player that cannot be right."""

    user_id: int
    what: str


@dataclass(frozen=True, slots=True)
class Looked:
    """How many players and sessions of its own a shard holds, and what is wrong with them."""

    players: int
    sessions: int
    faults: list[Fault]


async def look_through(postgres: Postgres) -> Looked:
    """Look at every row of the shard.

    Args:
        postgres: not behind a PgBouncer, which ends statements that take long.

    Raises:
        Unavailable: it does not answer.
    """
    async with postgres.raw() as connection, connection.transaction(isolation="repeatable_read", readonly=True):
        players, sessions = await connection.fetchrow(_COUNTS)
        faults = [
            Fault(*row) for statement in (_MISPLACED, _TOTALS, _UNNAMED) for row in await connection.fetch(statement)
        ]
    return Looked(players, sessions, faults)
