"""Who submitted: noted here, told to Redis now and then, counted there for all processes."""

from __future__ import annotations

import asyncio
import logging

from domain.metrics.catalogue import ACTIVE_PLAYERS
from domain.tasks import Background
from ranking.active_players import ActivePlayers
from ranking.store import RanksUnavailable, Store

logger = logging.getLogger(__name__)

INTERVAL_S = 2.0
# While Redis is away, so many are kept; the count is an estimate.
_NOTED_MAX = 200_000


class PlayerObserver(Background):
    """Notes who submits, which costs a tenth of a microsecond, and tells the metrics how many did of late."""

    def __init__(self, store: Store) -> None:
        self._players = ActivePlayers(store)
        self._noted: set[int] = set()

    def note(self, user_id: int) -> None:
        """This player submitted."""
        if len(self._noted) < _NOTED_MAX:
            self._noted.add(user_id)

    async def _forever(self) -> None:
        while True:
            noted, self._noted = self._noted, set()
            try:
                await self._players.add(noted)
                noted = set()
                ACTIVE_PLAYERS.of().set(await self._players.count())
            except RanksUnavailable:
                ACTIVE_PLAYERS.of().clear()
            except Exception:
                logger.exception("the players of the last minutes were not counted; they are counted again")
                ACTIVE_PLAYERS.of().clear()
            if len(self._noted) + len(noted) <= _NOTED_MAX:
                self._noted |= noted
            await asyncio.sleep(INTERVAL_S)
