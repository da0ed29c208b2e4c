"""What the projection does not hold of the players on a page, loaded together: one query for each shard touched."""

from __future__ import annotations

from asyncio import Future
from datetime import datetime
from typing import Any

from aiodataloader import DataLoader

from domain.errors import Unavailable
from domain.standing import Session
from service.load_players import load_players, load_recent_sessions
from service.parts import Parts


class Loaders:
    """The loaders of one request. Keys asked for in one pass over the selections go out in one batch.

    The futures are handed to the executor as they are, so that all keys of a page are known before any is awaited.
    A player whose shard does not answer gets that error; the others get their values.
    """

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        # A batch returns errors among its values, which a loader raises where its own type knows only values.
        self._joined: DataLoader[int, Any] = DataLoader(self._load_joined)
        self._recent: dict[int, DataLoader[int, Any]] = {}

    def joined_at(self, user_id: int) -> Future[datetime | None]:
        """When the player was first seen; None for one who is not known."""
        return self._joined.load(user_id)

    def recent_sessions(self, user_id: int, count: int) -> Future[list[Session]]:
        """The player's newest sessions, at most `count`, newest first."""
        loader = self._recent.get(count)
        if loader is None:

            async def load(user_ids: list[int]) -> list[list[Session] | Unavailable]:
                return await load_recent_sessions(self._parts, user_ids, count)

            loader = self._recent[count] = DataLoader(load)
        return loader.load(user_id)

    async def _load_joined(self, user_ids: list[int]) -> list[datetime | Unavailable | None]:
        players = await load_players(self._parts, user_ids)
        return [
            player if player is None or isinstance(player, Unavailable) else player.created_at for player in players
        ]
