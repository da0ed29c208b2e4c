"""What two shards hold of the same buckets or players, as digests: small to send, and equal only if the rows are.

A digest is the exclusive or of the rows' hashes, which no order of rows changes; together with the count, and because
no row can be there twice, one that lacks, has or differs in a row is different. `changed_xid` is left out: it is each
shard's own.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from msgspec import Struct

from db.postgres import Postgres

_STANDING = "(l.bucket, l.board_id, l.user_id, l.total_score, l.games_played, l.last_played, l.revision)"
_PLAYER = "(p.bucket, p.user_id, p.username, p.created_at)"
_SESSION = """(
    g.id, g.user_id, g.bucket, g.score, g.duration_seconds, g.recorded_at, g.total_after, g.games_after,
    g.last_played_after, g.username, g.game_mode
)"""
_COUNT_AND_HASH = "count(*)::bigint as rows, coalesce(bit_xor(hash_record_extended({row}, 0)), 0) as hash"


def _grouped(row: str, table: str) -> str:
    return f"""(
        select bucket, {_COUNT_AND_HASH.format(row=f"row{row}")} from {table} where bucket = any ($1) group by bucket
    )"""


_OF_BUCKETS = f"""
    select
        k.bucket,
        coalesce(l.rows, 0), coalesce(l.hash, 0),
        coalesce(p.rows, 0), coalesce(p.hash, 0),
        coalesce(g.rows, 0), coalesce(g.hash, 0),
        pg_snapshot_xmin(pg_current_snapshot())::text
    from unnest($1::smallint[]) as k (bucket)
    left join {_grouped(_STANDING, "leaderboard as l")} as l using (bucket)
    left join {_grouped(_PLAYER, "players as p")} as p using (bucket)
    left join {_grouped(_SESSION, "game_sessions as g")} as g using (bucket)
"""

_OF_PLAYERS = f"""
    select k.user_id, l.rows, l.hash, p.rows, p.hash, g.rows, g.hash
    from unnest($1::smallint[], $2::bigint[]) as k (bucket, user_id)
    cross join lateral (
        select {_COUNT_AND_HASH.format(row=f"row{_STANDING}")}
        from boards as b
        join leaderboard as l on l.bucket = k.bucket and l.board_id = b.board_id and l.user_id = k.user_id
    ) as l
    cross join lateral (
        select {_COUNT_AND_HASH.format(row=f"row{_PLAYER}")}
        from players as p
        where p.bucket = k.bucket and p.user_id = k.user_id
    ) as p
    cross join lateral (
        select {_COUNT_AND_HASH.format(row=f"row{_SESSION}")} from game_sessions as g where g.user_id = k.user_id
    ) as g
"""

_CHANGED = """
    select bucket, user_id from leaderboard where changed_xid >= $1::text::xid8 and bucket = any ($2)
"""
_PLAYERS = "select user_id from players where bucket = $1 union select user_id from leaderboard where bucket = $1"

_TIMEOUT_S = 600.0


class Digest(Struct, frozen=True, gc=False):
    """Rows of each table and their hash."""

    standings: int
    standings_hash: int
    players: int
    players_hash: int
    sessions: int
    sessions_hash: int

    @property
    def rows(self) -> int:
        """Rows of all tables."""
        return self.standings + self.players + self.sessions

    def __str__(self) -> str:
        return f"{self.standings} standing(s), {self.players} player(s), {self.sessions} session(s)"


@dataclass(frozen=True, slots=True)
class BucketDigests:
    """Digests by bucket, all of one moment; what is not in them was changed by transactions at or above `xid`."""

    by_bucket: dict[int, Digest]
    xid: int


async def digest_buckets(postgres: Postgres, buckets: Collection[int]) -> BucketDigests:
    """Look at every row of the buckets; reads the shard's sessions once, whatever the number of buckets.

    Raises:
        Unavailable: the shard does not answer.
    """
    found = await postgres.call(_OF_BUCKETS, list(buckets), timeout_s=_TIMEOUT_S)
    return BucketDigests({row[0]: Digest(*row[1:7]) for row in found}, min(int(row[7]) for row in found))


async def digest_players(postgres: Postgres, players: Sequence[tuple[int, int]]) -> dict[int, Digest]:
    """Look at every row of some players, given as (bucket, user id); by user id.

    Raises:
        Unavailable: the shard does not answer.
    """
    if not players:
        return {}
    found = await postgres.call(_OF_PLAYERS, [b for b, _ in players], [u for _, u in players], timeout_s=_TIMEOUT_S)
    return {user_id: Digest(*digest) for user_id, *digest in found}


async def list_changed_players(postgres: Postgres, since_xid: int, buckets: Collection[int]) -> list[tuple[int, int]]:
    """The (bucket, user id) of every player of the buckets who was changed by transactions from `since_xid` on.

    Raises:
        Unavailable: the shard does not answer.
    """
    return [tuple(row) for row in await postgres.call(_CHANGED, str(since_xid), list(buckets))]


async def list_players_of(postgres: Postgres, bucket: int) -> list[tuple[int, int]]:
    """The (bucket, user id) of every player of a bucket.

    Raises:
        Unavailable: the shard does not answer.
    """
    return [(bucket, user_id) for (user_id,) in await postgres.call(_PLAYERS, bucket, timeout_s=_TIMEOUT_S)]
