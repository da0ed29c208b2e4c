"""Reading players: what is known of them beside their standings."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from db.postgres import Postgres
from domain.standing import Player

_READ = """
    select k.user_id, o.bucket is not null as mine, p.username, p.created_at
    from unnest($1::smallint[], $2::bigint[]) as k (bucket, user_id)
    left join bucket_owner as o on o.bucket = k.bucket
    left join players as p on p.bucket = k.bucket and p.user_id = k.user_id
"""

_FIND_IDS = "select min(user_id), max(user_id) from players where user_id between $1 and $2"
_FIND_TIMEOUT_S = 60.0

_SHOW_NAME = "select show_name($1, $2, $3, $4)"


async def read_players(postgres: Postgres, keys: Sequence[tuple[int, int]]) -> tuple[dict[int, Player], list[int]]:
    """The players of (bucket, user id) pairs by user id, and the user ids whose bucket this shard does not own.

    Raises:
        Unavailable: the shard does not answer.
    """
    players: dict[int, Player] = {}
    strangers: list[int] = []
    for user_id, mine, username, created_at in await postgres.ask(_READ, [b for b, _ in keys], [u for _, u in keys]):
        if not mine:
            strangers.append(user_id)
        elif username is not None:
            players[user_id] = Player(user_id, username, created_at)
    return players, strangers


async def find_user_ids(postgres: Postgres, first: int, last: int) -> tuple[int, int] | None:
    """The smallest and the greatest user id on this shard from `first` to `last`; None where there is none.

    Raises:
        Unavailable: the shard does not answer.
    """
    ((smallest, greatest),) = await postgres.call(_FIND_IDS, first, last, timeout_s=_FIND_TIMEOUT_S)
    return None if smallest is None else (smallest, greatest)


async def show_name(postgres: Postgres, bucket: int, user_id: int, last_played: datetime, username: str) -> None:
    """Let a player be shown under `username`, if the player's newest session is the one played at `last_played`.

    Raises:
        Unavailable: the shard does not answer.
    """
    await postgres.call(_SHOW_NAME, bucket, user_id, last_played, username)
