"""Reading players: what is known of them beside their standings."""

from __future__ import annotations

from collections.abc import Sequence

from db.postgres import Postgres
from domain.standing import Player

_READ = """
    select p.user_id, p.username, p.created_at
    from unnest($1::smallint[], $2::bigint[]) as k (bucket, user_id)
    join players as p on p.bucket = k.bucket and p.user_id = k.user_id
"""


async def read_players(postgres: Postgres, keys: Sequence[tuple[int, int]]) -> dict[int, Player]:
    """The players of (bucket, user id) pairs, by user id; those unknown are missing.

    Raises:
        Unavailable: the shard does not answer.
    """
    rows = await postgres.call(_READ, [bucket for bucket, _ in keys], [user_id for _, user_id in keys])
    return {user_id: Player(user_id, username, created_at) for user_id, username, created_at in rows}
