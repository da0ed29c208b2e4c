"""The read replicas of one shard: looked at in the background, chosen for reads that may be a little behind."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence

import asyncpg

from db.postgres import Postgres
from db.replica_state import LogPosition, read_log_position
from domain.errors import ShardboardError
from domain.resilience.limits import REPLICA_LOOK_INTERVAL_S
from sharding.log_samples import LogSamples
from sharding.recent_writes import RecentWrites
from sharding.replica import Replica, ReplicaState

logger = logging.getLogger(__name__)


class Replicas:
    """All replicas of one shard, none most often.

    Args:
        writes: what this process acknowledged of late, on whichever shard.
    """

    def __init__(self, primary: Postgres, replicas: Sequence[Replica], writes: RecentWrites) -> None:
        self._primary = primary
        self._all = replicas
        self._writes = writes
        self._samples = LogSamples()
        self._system: tuple[int, int] | None = None

    def choose(self, user_id: int) -> Replica | None:
        """A replica that holds all that this process acknowledged to the player; the same one as long as it can be."""
        if not self._all:
            return None
        return self._choose(user_id, self._writes.last(user_id))

    def choose_for_all(self, user_ids: Sequence[int]) -> Replica | None:
        """A replica that holds all that this process acknowledged to any of the players."""
        if not self._all:
            return None
        return self._choose(0, max(map(self._writes.last, user_ids), default=float("-inf")))

    @property
    def staleness_s(self) -> float:
        """How old what any of those in use answers can be; 0 where none is in use."""
        now = time.monotonic()
        return max((now - each.fresh_at for each in self._all if each.may_answer(now, float("-inf"))), default=0.0)

    def states(self) -> list[ReplicaState]:
        """What is known of each."""
        return [replica.state() for replica in self._all]

    async def keep_looking(self) -> None:
        """Look at all of them for ever."""
        while self._all:
            try:
                await self.look()
                for replica in self._all:
                    replica.show()
            except Exception:
                logger.exception("the replicas of shard %s were not looked at", self._primary.name)
            await asyncio.sleep(REPLICA_LOOK_INTERVAL_S)

    async def look(self) -> None:
        """See how far each has come; while the primary does not say how far it is, they get older by themselves."""
        asked_at = time.monotonic()
        try:
            primary = await read_log_position(self._primary)
        except (ShardboardError, asyncpg.PostgresError):
            return
        self._take_sample(primary, asked_at)
        await asyncio.gather(*(replica.look(primary, self._samples) for replica in self._all))

    async def close(self) -> None:
        """Close every connection to them."""
        await asyncio.gather(*(replica.close() for replica in self._all))

    def _take_sample(self, primary: LogPosition, asked_at: float) -> None:
        if (primary.system, primary.timeline) != self._system:
            self._samples, self._system = LogSamples(), (primary.system, primary.timeline)
        if primary.position is not None:
            self._samples.add(asked_at, primary.position)

    def _choose(self, number: int, written_at: float) -> Replica | None:
        now, count = time.monotonic(), len(self._all)
        for place in range(number, number + count):
            replica = self._all[place % count]
            if replica.may_answer(now, written_at):
                return replica
        return None
