"""How much each bucket of a shard holds: what a plan balances."""

from __future__ import annotations

from dataclasses import dataclass

from db.postgres import Postgres

# Sessions by the standings' counts, because counting sessions reads them all; pruned ones count as if they were here.
_READ = """
    select l.bucket, count(*)::bigint, coalesce(sum(l.games_played), 0)::bigint
    from leaderboard as l
    where l.board_id = 1 and l.bucket in (select o.bucket from bucket_owner as o)
    group by l.bucket
"""
_SIZES = """
    select
        pg_total_relation_size('players') + pg_total_relation_size('leaderboard') as player_bytes,
        coalesce(sum(pg_total_relation_size(i.inhrelid)), 0)::bigint as session_bytes,
        (select count(*) from leaderboard) as players,
        (select coalesce(sum(games_played), 0)::bigint from leaderboard where board_id = 1) as sessions
    from pg_inherits as i
    where i.inhparent = 'game_sessions'::regclass
"""
_TIMEOUT_S = 120.0


@dataclass(frozen=True, slots=True)
class BucketLoad:
    """What a bucket holds; sessions and bytes are estimates, the latter by the average size of a row here."""

    players: int
    sessions: int
    bytes: int

    @property
    def rows(self) -> int:
        """Rows of all tables."""
        return 2 * self.players + self.sessions


async def read_bucket_loads(postgres: Postgres) -> dict[int, BucketLoad]:
    """The load of each bucket of the shard that holds anything.

    Raises:
        Unavailable: the shard does not answer.
    """
    ((player_bytes, session_bytes, players, sessions),) = await postgres.call(_SIZES, timeout_s=_TIMEOUT_S)
    a_player, a_session = player_bytes / max(players, 1), session_bytes / max(sessions, 1)
    return {
        bucket: BucketLoad(held, played, round(held * a_player + played * a_session))
        for bucket, held, played in await postgres.call(_READ, timeout_s=_TIMEOUT_S)
    }
