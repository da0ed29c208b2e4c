"""About how many players submitted of late: Redis' HyperLogLog (Flajolet et al. 2007), one a minute, 12 KB each."""

from __future__ import annotations

import time
from collections.abc import Collection
from itertools import islice

from ranking.keys import active_players_key
from ranking.store import Store

WINDOW_MINUTES = 5
_CHUNK = 1_000


class ActivePlayers:
    """The players of the last minutes, of all processes."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def add(self, user_ids: Collection[int]) -> None:
        """These players submitted just now.

        Raises:
            RanksUnavailable: Redis does not answer.
        """
        key = active_players_key(_minute())
        remaining = iter(user_ids)
        while chunk := list(islice(remaining, _CHUNK)):
            with self._store.guarded():
                pipeline = self._store.redis.pipeline(transaction=False)
                pipeline.pfadd(key, *chunk)
                pipeline.expire(key, 60 * (WINDOW_MINUTES + 1))
                await pipeline.execute()

    async def count(self) -> int:
        """About how many there are, within one percent mostly; those of the present minute and of the ones before.

        Raises:
            RanksUnavailable: Redis does not answer.
        """
        now = _minute()
        keys = [active_players_key(minute) for minute in range(now - WINDOW_MINUTES + 1, now + 1)]
        return int(await self._store.answered(self._store.redis.pfcount(*keys)))


def _minute() -> int:
    return int(time.time() // 60)
