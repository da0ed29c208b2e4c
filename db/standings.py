"""Reading standings out of one shard: for ranks without Redis, and for the relay that keeps Redis true.

Rows that a moved bucket left behind are no standings: what answers clients counts only buckets that the shard owns.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from db.postgres import Postgres
from domain.standing import Row

GLOBAL_BOARD_ID = 1

_COLUMNS = "l.user_id, p.username, l.total_score, l.games_played, l.last_played, l.revision"

_READ_ROWS = f"""
    select {_COLUMNS}, o.bucket is not null as mine, k.user_id as wanted
    from unnest($1::smallint[], $2::bigint[]) as k (bucket, user_id)
    left join bucket_owner as o on o.bucket = k.bucket
    left join leaderboard as l on l.bucket = k.bucket and l.board_id = 1 and l.user_id = k.user_id
    left join players as p on p.bucket = k.bucket and p.user_id = k.user_id
"""

_COUNT_BETTER = """
    select t.ord::integer, b.better::integer
    from unnest($1::bigint[]) with ordinality as t (total, ord)
    cross join lateral (
        select count(*) as better
        from (
            select 1
            from leaderboard as l
            where l.board_id = 1 and l.total_score > t.total and l.bucket in (select o.bucket from bucket_owner as o)
            limit $2
        ) as counted
    ) as b
    order by t.ord
"""

_COUNT_PLAYERS = """
    select count(*)::bigint from leaderboard as l
    where l.board_id = 1 and l.bucket in (select o.bucket from bucket_owner as o)
"""

# Two statements, because a row comparison needs one direction for both columns, and the order has two.
_PAGE = f"""
    select {_COLUMNS}
    from (
        (
            select * from leaderboard
            where board_id = 1 and total_score = $1 and user_id > $2
                and bucket in (select o.bucket from bucket_owner as o)
            order by total_score desc, user_id
            limit $3
        )
        union all
        (
            select * from leaderboard
            where board_id = 1 and total_score < $1 and bucket in (select o.bucket from bucket_owner as o)
            order by total_score desc, user_id
            limit $3
        )
    ) as l
    join players as p on p.bucket = l.bucket and p.user_id = l.user_id
    order by l.total_score desc, l.user_id
    limit $3
"""

_BEFORE = f"""
    select {_COLUMNS}
    from (
        (
            select * from leaderboard
            where board_id = 1 and total_score = $1 and user_id < $2
                and bucket in (select o.bucket from bucket_owner as o)
            order by total_score, user_id desc
            limit $3
        )
        union all
        (
            select * from leaderboard
            where board_id = 1 and total_score > $1 and bucket in (select o.bucket from bucket_owner as o)
            order by total_score, user_id desc
            limit $3
        )
    ) as l
    join players as p on p.bucket = l.bucket and p.user_id = l.user_id
    order by l.total_score, l.user_id desc
    limit $3
"""

_MARK = "select i.incarnation::text, pg_snapshot_xmin(pg_current_snapshot())::text from shard_info as i"

_CHANGED = """
    select l.changed_xid::text, l.user_id, l.bucket, l.revision
    from leaderboard as l
    where l.board_id = 1
        and l.changed_xid >= $1::text::xid8
        and (l.changed_xid > $1::text::xid8 or $2::bigint is null or l.user_id > $2)
    order by l.changed_xid, l.user_id
    limit $3
"""

_SCAN = f"""
    select l.bucket, {_COLUMNS}
    from (
        select * from leaderboard
        where (bucket, board_id, user_id) > ($1::smallint, 1::smallint, $2::bigint) and board_id = 1
            and bucket in (select o.bucket from bucket_owner as o)
        order by bucket, board_id, user_id
        limit $3
    ) as l
    join players as p on p.bucket = l.bucket and p.user_id = l.user_id
    order by l.bucket, l.user_id
"""

_SCAN_TIMEOUT_S = 30.0


class ChangedRow(Struct, frozen=True, gc=False):
    """That a row changed, and to which revision; the rest of it is read only where the ranks lack it."""

    xid: int
    user_id: int
    bucket: int
    revision: int


async def read_rows(postgres: Postgres, keys: Sequence[tuple[int, int]]) -> tuple[dict[int, Row], list[int]]:
    """The rows of (bucket, user id) pairs by user id, and the user ids whose bucket this shard does not own.

    Raises:
        Unavailable: the shard does not answer.
    """
    rows: dict[int, Row] = {}
    strangers: list[int] = []
    for *columns, mine, wanted in await postgres.call(_READ_ROWS, [b for b, _ in keys], [u for _, u in keys]):
        if not mine:
            strangers.append(wanted)
        elif columns[0] is not None:
            rows[wanted] = Row(*columns)
    return rows, strangers


async def count_better(postgres: Postgres, totals: Sequence[int], depth_max: int) -> list[int]:
    """For each total how many of the shard's players have a better one; counting stops at `depth_max`.

    Raises:
        Unavailable: the shard does not answer.
    """
    return [row[1] for row in await postgres.call(_COUNT_BETTER, totals, depth_max)]


async def count_players(postgres: Postgres) -> int:
    """How many players have a standing on this shard.

    Raises:
        Unavailable: the shard does not answer.
    """
    return int((await postgres.call(_COUNT_PLAYERS))[0][0])


async def read_page(postgres: Postgres, after: tuple[int, int], limit: int) -> list[Row]:
    """The shard's rows behind the place `after` (total, user id), best first.

    Raises:
        Unavailable: the shard does not answer.
    """
    return [Row(*columns) for columns in await postgres.call(_PAGE, *after, limit)]


async def read_before(postgres: Postgres, before: tuple[int, int], limit: int) -> list[Row]:
    """The shard's rows ahead of the place `before` (total, user id), the nearest first.

    Raises:
        Unavailable: the shard does not answer.
    """
    return [Row(*columns) for columns in await postgres.call(_BEFORE, *before, limit)]


async def read_mark(postgres: Postgres) -> tuple[str, int]:
    """The shard's incarnation, and the transaction id below which every transaction has ended.

    Transactions commit out of the order of their ids, so "all since the last id seen" would leave gaps; all at or
    above this mark have to be looked at again, all below it are final.

    Raises:
        Unavailable: the shard does not answer.
    """
    incarnation, xmin = (await postgres.call(_MARK))[0]
    return incarnation, int(xmin)


async def read_changed(postgres: Postgres, since: tuple[int, int | None], limit: int) -> list[ChangedRow]:
    """Rows changed by transactions at or above a mark, in order of (transaction id, user id).

    Args:
        since: the (transaction id, user id) of the last row of the batch before; (mark, None) to begin.

    Raises:
        Unavailable: the shard does not answer.
    """
    rows = await postgres.call(_CHANGED, str(since[0]), since[1], limit, timeout_s=_SCAN_TIMEOUT_S)
    return [ChangedRow(int(xid), user_id, bucket, revision) for xid, user_id, bucket, revision in rows]


async def scan_rows(postgres: Postgres, after: tuple[int, int], limit: int) -> tuple[list[Row], tuple[int, int] | None]:
    """A batch of all rows, in order of (bucket, user id), and the place to go on from; None at the end.

    Raises:
        Unavailable: the shard does not answer.
    """
    found = await postgres.call(_SCAN, *after, limit, timeout_s=_SCAN_TIMEOUT_S)
    rows = [Row(*columns) for _, *columns in found]
    return rows, (found[-1][0], rows[-1].user_id) if found else None
