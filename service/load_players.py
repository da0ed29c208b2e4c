"""What a page shows of its players and the ranks do not hold: one query a shard that owns some of them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from db.history import read_newest
from db.players import read_players
from domain.errors import Unavailable
from domain.standing import Player, Session
from service.parts import Parts


async def load_players(parts: Parts, user_ids: Sequence[int]) -> list[Player | Unavailable | None]:
    """The players, in the order asked for; None where there is none, an error where its shard does not answer."""
    found = await parts.router.scatter_keys(user_ids, read_players)
    return [found.get(user_id) for user_id in user_ids]


async def load_recent_sessions(parts: Parts, user_ids: Sequence[int], count: int) -> list[list[Session] | Unavailable]:
    """The newest `count` sessions of each player, in the order asked for."""
    found = await parts.router.scatter_keys(user_ids, partial(read_newest, count=count), from_replicas=True)
    return [found.get(user_id, []) for user_id in user_ids]
