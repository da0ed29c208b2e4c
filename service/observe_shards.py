"""What has to be asked of a shard for the metrics: asked now and then, in the background, not by who reads them."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime

from db.move_records import count_phases
from db.partitions import count_months_ahead
from domain.errors import OperatorError, Unavailable
from domain.metrics.catalogue import BUCKET_MOVES, PARTITIONS_AHEAD
from domain.move import Phase
from service.shard_workers import ShardWorkers
from sharding.router import Router
from sharding.shard import Shard

logger = logging.getLogger(__name__)

INTERVAL_S = 10.0


class ShardObserver:
    """Asks each shard for itself, so that one that hangs keeps no other's numbers from being new."""

    def __init__(self, router: Router) -> None:
        self._workers = ShardWorkers(router, self._forever)
        self._phases: dict[str, dict[Phase, int]] = {}
        self._complaints: dict[str, str] = {}

    def start(self) -> None:
        """Begin, in the background."""
        self._workers.start()

    async def close(self) -> None:
        """Stop."""
        await self._workers.close()

    async def _forever(self, shard: Shard) -> None:
        try:
            while True:
                try:
                    await self._look_at(shard)
                except Unavailable:
                    pass  # What was last seen holds: months and moves do not change while a shard is away.
                except OperatorError as error:
                    if self._complaints.get(shard.name) != str(error):
                        self._complaints[shard.name] = str(error)
                        logger.warning("%s", error)
                except Exception:
                    logger.exception("shard %s was not asked for the metrics; it is asked again", shard.name)
                await asyncio.sleep(INTERVAL_S)
        finally:
            PARTITIONS_AHEAD.of(shard.name).clear()
            self._phases.pop(shard.name, None)

    async def _look_at(self, shard: Shard) -> None:
        PARTITIONS_AHEAD.of(shard.name).set(await count_months_ahead(shard.postgres, datetime.now(UTC)))
        self._phases[shard.name] = await count_phases(shard.postgres)
        for phase in Phase:
            BUCKET_MOVES.of(phase.value).set(sum(counted[phase] for counted in self._phases.values()))
