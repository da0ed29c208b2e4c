"""Taking away what a shard holds of buckets that are not its own, a little at a time."""

from __future__ import annotations

from collections.abc import Collection

from db.postgres import Postgres

# Players first found, last deleted: whatever ends this half-way, the next call finds what is left by them. The shard's
# own buckets are never touched, whatever the caller says.
_DELETE = """
    with gone as materialized (
        select p.bucket, p.user_id
        from players as p
        where p.bucket = any ($1) and not exists (select from bucket_owner as o where o.bucket = p.bucket)
        order by p.bucket, p.user_id
        limit $2
    ),
    sessions as (
        delete from game_sessions as g using gone
        where g.user_id = gone.user_id and g.bucket = gone.bucket
        returning 1
    ),
    standings as (
        delete from leaderboard as l using gone where l.bucket = gone.bucket and l.user_id = gone.user_id returning 1
    ),
    named as (
        delete from players as p using gone where p.bucket = gone.bucket and p.user_id = gone.user_id returning 1
    )
    select
        (select count(*) from named) as players,
        (select count(*) from named) + (select count(*) from standings) + (select count(*) from sessions) as rows
"""

# What a copy that was ended half-way has left: sessions or standings whose player had not come yet.
_DELETE_ORPHANS = """
    with sessions as (
        delete from game_sessions as g
        where g.bucket = any ($1) and not exists (select from bucket_owner as o where o.bucket = g.bucket)
        returning 1
    ),
    standings as (
        delete from leaderboard as l
        where l.bucket = any ($1) and not exists (select from bucket_owner as o where o.bucket = l.bucket)
        returning 1
    )
    select (select count(*) from sessions) + (select count(*) from standings) as rows
"""

_STRANGERS = """
    select bucket, sum(rows)::bigint as rows
    from (
        select bucket, count(*) as rows from players group by bucket
        union all
        select bucket, count(*) from leaderboard group by bucket
        union all
        select bucket, count(*) from game_sessions group by bucket
    ) as held
    where not exists (select from bucket_owner as o where o.bucket = held.bucket)
    group by bucket
    order by bucket
"""
_HOLDS = """
    select exists (select from players where bucket = any ($1))
        or exists (select from leaderboard where bucket = any ($1))
        or exists (select from game_sessions where bucket = any ($1))
"""

_TIMEOUT_S = 120.0


async def delete_players_of(postgres: Postgres, buckets: Collection[int], players_max: int) -> tuple[int, int]:
    """Delete up to so many players of buckets with all they have; how many players, and how many rows in all, went.

    Nothing goes of a bucket that the shard owns.

    Raises:
        Unavailable: the shard does not answer.
    """
    ((players, rows),) = await postgres.call(_DELETE, list(buckets), players_max, timeout_s=_TIMEOUT_S)
    return players, rows


async def delete_orphans_of(postgres: Postgres, buckets: Collection[int]) -> int:
    """Delete what is left of buckets whose players are all gone; reads all sessions for that. Gives the rows gone.

    Raises:
        Unavailable: the shard does not answer.
    """
    ((rows,),) = await postgres.call(_DELETE_ORPHANS, list(buckets), timeout_s=_TIMEOUT_S)
    return int(rows)


async def list_strangers(postgres: Postgres) -> dict[int, int]:
    """Rows that the shard holds of buckets which it does not own, by bucket; reads whole tables.

    Raises:
        Unavailable: the shard does not answer.
    """
    return dict(await postgres.call(_STRANGERS, timeout_s=_TIMEOUT_S))


async def holds_any(postgres: Postgres, buckets: Collection[int]) -> bool:
    """Whether the shard holds any row of the buckets.

    Raises:
        Unavailable: the shard does not answer.
    """
    ((holds,),) = await postgres.call(_HOLDS, list(buckets), timeout_s=_TIMEOUT_S)
    return bool(holds)
