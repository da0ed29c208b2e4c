"""Compare the ranks with the shards all the time, a little at once, so that a difference is seen before players see it.

One process of all does it. It walks through all standings and remembers those that differ until they no longer do.
`shardboard ranks verify` compares all of them at once, what Redis holds too much included.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import aclosing
from secrets import token_hex

from domain.errors import ShardboardError
from domain.metrics.catalogue import PROJECTION_DRIFT
from domain.standing import Row
from domain.tasks import Background
from ranking.marks import Marks, take_lease
from ranking.stored import StoredRanks
from service.parts import Parts
from service.scan_standings import scan_standings
from service.verify_ranks import compare, look_again

logger = logging.getLogger(__name__)

ROWS_A_LOOK = 1_000
# Of more there is no need to know all by name.
_KNOWN_MAX = 10_000
_LEASE_INTERVALS = 4
_LEASE_S_MIN = 5.0


class DriftObserver(Background):
    """Looks at `ROWS_A_LOOK` standings every `interval_s`."""

    def __init__(self, parts: Parts, *, interval_s: float) -> None:
        self._parts = parts
        self._interval_s = interval_s
        keys = parts.projection.keys
        self._lease = keys.drift_lease
        self._drift = PROJECTION_DRIFT.of(keys.board)
        self._marks = Marks(parts.store, keys)
        self._stored = StoredRanks(parts.store, keys)
        self._holder = token_hex(8)
        # Players whose standings differ.
        self._known: dict[int, None] = {}

    async def close(self) -> None:
        """Stop; how much differs is then not known."""
        await super().close()
        self._drift.clear()

    async def _forever(self) -> None:
        while True:
            try:
                await self._walk()
            except ShardboardError:
                # A part is away, which others tell; how much differs is not known.
                self._drift.clear()
            except Exception:
                logger.exception("the ranks were not compared with the shards; they are compared again")
                self._drift.clear()
            await asyncio.sleep(self._interval_s)

    async def _walk(self) -> None:
        """Go once through all standings, as long as this is the process to do it and there are ranks."""
        async with aclosing(scan_standings(self._parts.router, ROWS_A_LOOK)) as batches:
            async for rows in batches:
                if not await self._leads() or not await self._marks.ready():
                    self._known.clear()
                    self._drift.clear()
                    return
                await self._look_at(rows)
                if len(rows) == ROWS_A_LOOK:
                    await asyncio.sleep(self._interval_s)

    async def _look_at(self, rows: list[Row]) -> None:
        entries = await self._stored.read([row.user_id for row in rows])
        suspects = [row.user_id for row, entry in zip(rows, entries, strict=True) if compare(row, entry)]
        differences = await look_again(self._parts, self._stored, dict.fromkeys([*self._known, *suspects]))
        self._known = dict.fromkeys([int(difference.player) for difference in differences][:_KNOWN_MAX])
        self._drift.set(len(self._known))

    async def _leads(self) -> bool:
        lease_s = max(self._interval_s * _LEASE_INTERVALS, _LEASE_S_MIN)
        return await take_lease(self._parts.store, self._lease, self._holder, int(lease_s * 1000))
