"""Reading standings out of one shard: for ranks without Redis, and for the relay that keeps Redis true.

Rows that a moved bucket left behind are no standings: what answers clients counts only buckets that the shard owns.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import asyncpg
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

_READ_HELD = f"""
    select {_COLUMNS}
    from unnest($1::smallint[], $2::bigint[]) as k (bucket, user_id)
    join leaderboard as l on l.bucket = k.bucket and l.board_id = 1 and l.user_id = k.user_id
    left join players as p on p.bucket = k.bucket and p.user_id = k.user_id
"""

# Statements over whole buckets take them as a mask of 512 bytes: a look at a bit costs the same for any number of
# buckets and under any plan, while an array that is no constant is searched from its begin. Whether this shard owns
# all of them is told as of the same moment. (`<> 0`, because the planner takes `= 1` for one row of two hundred.)
_MINE = """
    select count(*) = bit_count($1::bytea) as mine from bucket_owner as o where get_bit($1::bytea, o.bucket) <> 0
"""

_COUNT_BETTER = f"""
    select m.mine, b.better::integer
    from ({_MINE}) as m
    cross join unnest($2::bigint[]) with ordinality as t (total, ord)
    cross join lateral (
        select count(*) as better
        from (
            select 1
            from leaderboard as l
            where l.board_id = 1
                and l.total_score > t.total
                and l.user_id <> all ($4::bigint[])
                and get_bit($1::bytea, l.bucket) <> 0
            limit $3
        ) as counted
    ) as b
    order by t.ord
"""

_COUNT_PLAYERS = f"""
    select m.mine, c.players
    from ({_MINE}) as m
    cross join (
        select count(*) as players from leaderboard as l where l.board_id = 1 and get_bit($1::bytea, l.bucket) <> 0
    ) as c
"""

# Two statements, because a row comparison needs one direction for both columns, and the order has two.
_PAGE = f"""
    select m.mine, {_COLUMNS}
    from ({_MINE}) as m
    left join (
        (
            select * from leaderboard
            where board_id = 1 and total_score = $2 and user_id > $3 and get_bit($1::bytea, bucket) <> 0
            order by total_score desc, user_id
            limit $4
        )
        union all
        (
            select * from leaderboard
            where board_id = 1 and total_score < $2 and get_bit($1::bytea, bucket) <> 0
            order by total_score desc, user_id
            limit $4
        )
    ) as l on true
    left join players as p on p.bucket = l.bucket and p.user_id = l.user_id
    order by l.total_score desc, l.user_id
    limit greatest($4, 1)
"""

_BEFORE = f"""
    select m.mine, {_COLUMNS}
    from ({_MINE}) as m
    left join (
        (
            select * from leaderboard
            where board_id = 1 and total_score = $2 and user_id < $3 and get_bit($1::bytea, bucket) <> 0
            order by total_score, user_id desc
            limit $4
        )
        union all
        (
            select * from leaderboard
            where board_id = 1 and total_score > $2 and get_bit($1::bytea, bucket) <> 0
            order by total_score, user_id desc
            limit $4
        )
    ) as l on true
    left join players as p on p.bucket = l.bucket and p.user_id = l.user_id
    order by l.total_score, l.user_id desc
    limit greatest($4, 1)
"""

_SNAPSHOT = """
    select i.incarnation::text, pg_snapshot_xmin(s)::text, pg_snapshot_xmax(s)::text
    from shard_info as i, pg_current_snapshot() as s
"""

_CHANGED = """
    select l.changed_xid::text, l.user_id, l.bucket, l.revision
    from leaderboard as l
    where l.board_id = 1
        and l.changed_xid >= $1::text::xid8
        and (l.changed_xid > $1::text::xid8 or $2::bigint is null or l.user_id > $2)
    order by l.changed_xid, l.user_id
    limit $3
"""

_COUNT_CHANGED = """
    select count(*)
    from (
        select from leaderboard as l where l.changed_xid >= $1::text::xid8 and l.board_id = 1 limit $2
    ) as changed
"""

_SCAN = f"""
    select m.mine, l.bucket, {_COLUMNS}
    from ({_MINE}) as m
    left join (
        select * from leaderboard
        where (bucket, board_id, user_id) > ($2::smallint, 1::smallint, $3::bigint) and board_id = 1
            and bucket <= $4 and get_bit($1::bytea, bucket) <> 0
        order by bucket, board_id, user_id
        limit $5
    ) as l on true
    left join players as p on p.bucket = l.bucket and p.user_id = l.user_id
    order by l.bucket, l.user_id
"""

_SCAN_TIMEOUT_S = 30.0
# A bit for each of the 4096 buckets.
_MASK_BYTES = 512


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
    for *columns, mine, wanted in await postgres.ask(_READ_ROWS, [b for b, _ in keys], [u for _, u in keys]):
        if not mine:
            strangers.append(wanted)
        elif columns[0] is not None:
            rows[wanted] = Row(*columns)
    return rows, strangers


async def read_held_rows(postgres: Postgres, keys: Sequence[tuple[int, int]]) -> tuple[dict[int, Row], frozenset[int]]:
    """The rows of (bucket, user id) pairs that this shard holds, by user id, whether it owns their buckets or not.

    Where it does not, they are what another shard committed, now or earlier: a move brings them here before the bucket,
    and what it leaves behind stays for a while. That is good for whoever compares revisions, and for nobody else.

    Returns:
        The rows, and the user ids of those whose player has not come here yet: a move copies one table after the other.

    Raises:
        Unavailable: the shard does not answer.
    """
    found = await postgres.ask(_READ_HELD, [b for b, _ in keys], [u for _, u in keys])
    nameless = frozenset(columns[0] for columns in found if columns[1] is None)
    return {columns[0]: Row(*columns) for columns in found if columns[1] is not None}, nameless


async def count_better(
    postgres: Postgres, buckets: Sequence[int], totals: Sequence[int], depth_max: int, but: Sequence[int] = ()
) -> list[int] | None:
    """For each total how many players of `buckets` have a better one; counting stops at `depth_max`.

    Args:
        but: players who are not counted.

    Returns:
        None where the shard does not own all of the buckets.

    Raises:
        Unavailable: the shard does not answer.
    """
    found = await postgres.ask(_COUNT_BETTER, _mask(buckets), totals, depth_max, but)
    return [better for _, better in found] if all(mine for mine, _ in found) else None


async def count_players(postgres: Postgres, buckets: Sequence[int]) -> int | None:
    """How many players of `buckets` have a standing; None where the shard does not own all of the buckets.

    Raises:
        Unavailable: the shard does not answer.
    """
    ((mine, players),) = await postgres.ask(_COUNT_PLAYERS, _mask(buckets))
    return int(players) if mine else None


async def read_page(postgres: Postgres, buckets: Sequence[int], after: tuple[int, int], limit: int) -> list[Row] | None:
    """The rows of `buckets` behind the place `after` (total, user id), best first.

    Returns:
        None where the shard does not own all of the buckets.

    Raises:
        Unavailable: the shard does not answer.
    """
    return _rows_if_mine(await postgres.ask(_PAGE, _mask(buckets), *after, limit))


async def read_before(
    postgres: Postgres, buckets: Sequence[int], before: tuple[int, int], limit: int
) -> list[Row] | None:
    """The rows of `buckets` ahead of the place `before` (total, user id), the nearest first.

    Returns:
        None where the shard does not own all of the buckets.

    Raises:
        Unavailable: the shard does not answer.
    """
    return _rows_if_mine(await postgres.ask(_BEFORE, _mask(buckets), *before, limit))


async def read_mark(postgres: Postgres) -> tuple[str, int]:
    """The shard's incarnation, and the transaction id below which every transaction has ended.

    Transactions commit out of the order of their ids, so "all since the last id seen" would leave gaps; all at or
    above this mark have to be looked at again, all below it are final.

    Raises:
        Unavailable: the shard does not answer.
    """
    incarnation, xmin, _ = await read_snapshot(postgres)
    return incarnation, xmin


async def read_snapshot(postgres: Postgres) -> tuple[str, int, int]:
    """The mark as `read_mark` gives it, and the transaction id from which on none had begun: the two are equal where
    nothing was under way, and then nobody changed anything at or above the mark.

    Raises:
        Unavailable: the shard does not answer.
    """
    incarnation, xmin, xmax = (await postgres.ask(_SNAPSHOT))[0]
    return incarnation, int(xmin), int(xmax)


async def read_changed(postgres: Postgres, since: tuple[int, int | None], limit: int) -> list[ChangedRow]:
    """Rows changed by transactions at or above a mark, in order of (transaction id, user id).

    Args:
        since: the (transaction id, user id) of the last row of the batch before; (mark, None) to begin.

    Raises:
        Unavailable: the shard does not answer.
    """
    rows = await postgres.ask(_CHANGED, str(since[0]), since[1], limit, timeout_s=_SCAN_TIMEOUT_S)
    return [ChangedRow(int(xid), user_id, bucket, revision) for xid, user_id, bucket, revision in rows]


async def count_changed(postgres: Postgres, mark: int, count_max: int) -> int:
    """How many rows transactions at or above a mark changed; counting stops at `count_max`.

    Raises:
        Unavailable: the shard does not answer.
    """
    ((count,),) = await postgres.call(_COUNT_CHANGED, str(mark), count_max)
    return int(count)


async def scan_rows(
    postgres: Postgres, buckets: Sequence[int], after: tuple[int, int], limit: int
) -> tuple[list[Row], tuple[int, int] | None] | None:
    """A batch of the rows of `buckets`, in order of (bucket, user id), and the place to go on from; None at the end.

    Returns:
        None where the shard does not own all of the buckets.

    Raises:
        Unavailable: the shard does not answer.
    """
    arguments = (_mask(buckets), *after, max(buckets, default=-1), limit)
    found = await postgres.ask(_SCAN, *arguments, timeout_s=_SCAN_TIMEOUT_S)
    if not found[0]["mine"]:
        return None
    places = [(bucket, user_id) for _, bucket, user_id, *_ in found if bucket is not None]
    rows = [Row(*columns) for _, _, *columns in found if columns[1] is not None]
    return rows, places[-1] if len(places) == limit else None


def _rows_if_mine(found: Sequence[asyncpg.Record]) -> list[Row] | None:
    """The rows of an answer that begins with whether this shard owns what was asked; at least one row of nulls."""
    if not found[0]["mine"]:
        return None
    return [Row(*columns) for _, *columns in found if columns[1] is not None]


def _mask(buckets: Iterable[int]) -> bytes:
    """Buckets as bits, as get_bit counts them."""
    mask = bytearray(_MASK_BYTES)
    for bucket in buckets:
        mask[bucket >> 3] |= 1 << (bucket & 7)
    return bytes(mask)
