"""One shard as a process uses it: its connections, and what gathers many callers' wishes into few statements."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from uuid import UUID

from db.history import HistoryRequest, HistoryRows, read_history
from db.postgres import Postgres
from db.scores import find_sessions
from domain.coalescer import Coalescer, Gate
from sharding.writer import ShardWriter


@dataclass(frozen=True, slots=True)
class WriteLimits:
    """The bounds of each shard's writer, for one process.

    `flushes_in_flight` counts for each shard, `flushes_at_once` for all together: None is one for every four shards.
    """

    flushes_in_flight: int = 1
    flushes_at_once: int | None = None
    batch_rows_max: int = 500
    queue_rows_max: int = 20_000


class Shard:
    """One shard: its Postgres, its coalescing writer and its coalescing reader of histories."""

    def __init__(self, postgres: Postgres, url: str, limits: WriteLimits, gate: Gate) -> None:
        self.name = postgres.name
        self.url = url
        self.postgres = postgres
        self.writer = ShardWriter(
            postgres,
            flushes_in_flight=limits.flushes_in_flight,
            batch_rows_max=limits.batch_rows_max,
            queue_rows_max=limits.queue_rows_max,
            gate=gate,
        )
        self.sessions: Coalescer[UUID, int | None] = Coalescer(
            self._find_sessions,
            name=f"Shard {postgres.name}",
            slots=1,
            batch_max=limits.batch_rows_max,
            queue_max=limits.queue_rows_max,
        )
        self.history: Coalescer[HistoryRequest, HistoryRows | None] = Coalescer(
            lambda requests: read_history(postgres, requests),
            name=f"Shard {postgres.name}",
            slots=limits.flushes_in_flight,
            batch_max=limits.batch_rows_max,
            queue_max=limits.queue_rows_max,
            gate=gate,
        )

    async def close(self, drain_s_max: float | None = None) -> None:
        """Answer what was accepted, then close every connection.

        Args:
            drain_s_max: how long to wait for the answers; None: for as long as they take.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(drain_s_max):
                await self.writer.drained()
        await self.postgres.close()

    async def _find_sessions(self, ids: list[UUID]) -> list[int | None]:
        found = await find_sessions(self.postgres, ids)
        return [found.get(id_) for id_ in ids]
