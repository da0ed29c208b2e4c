"""One shard as a process uses it: its connections, and what gathers many callers' wishes into few statements."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar
from uuid import UUID

from db.address import place_of
from db.directory import DirectoryEntry
from db.history import HistoryRequest, HistoryRows, read_history
from db.postgres import Postgres
from db.scores import find_sessions
from domain.coalescer import Coalescer, Gate
from domain.resilience.limits import DRAIN_S_MAX, REPLICA_PAGE_S_MAX
from sharding.recent_writes import RecentWrites
from sharding.replica import Replica
from sharding.replicas import Replicas
from sharding.writer import ShardWriter

Answer = TypeVar("Answer")

# Waited for in so many pieces: where this process itself was held up, the answer is there when it goes on.
_PATIENCE_SLICES = 4


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
    """One shard: its Postgres, its replicas, its coalescing writer and its coalescing reader of histories.

    Args:
        entry: where it is reached.
        replicas: the Postgres of each of its replicas, in the order of the entry.
        lag_s_max: how far a replica may be behind that answers.
        writes: what this process acknowledged of late, on whichever shard.
    """

    def __init__(
        self,
        entry: DirectoryEntry,
        postgres: Postgres,
        limits: WriteLimits,
        gate: Gate,
        *,
        replicas: Sequence[Postgres],
        lag_s_max: float,
        writes: RecentWrites,
    ) -> None:
        self.name = postgres.name
        self.url = entry.url
        self.replica_urls = entry.replicas
        self.postgres = postgres
        self.replicas = Replicas(
            postgres,
            [
                Replica(
                    replica,
                    place_of(url),
                    lag_s_max,
                    slots=limits.flushes_in_flight,
                    batch_max=limits.batch_rows_max,
                    gate=gate,
                )
                for replica, url in zip(replicas, entry.replicas, strict=True)
            ],
            writes,
        )
        self.writer = ShardWriter(
            postgres,
            flushes_in_flight=limits.flushes_in_flight,
            batch_rows_max=limits.batch_rows_max,
            queue_rows_max=limits.queue_rows_max,
            gate=gate,
            acknowledging=writes.note,
        )
        self._sessions: Coalescer[UUID, int | None] = Coalescer(
            self._find_sessions,
            name=f"Shard {postgres.name}",
            work="find sessions",
            slots=1,
            batch_max=limits.batch_rows_max,
            queue_max=limits.queue_rows_max,
            admit=postgres.breaker.require,
        )
        self.history: Coalescer[HistoryRequest, HistoryRows | None] = Coalescer(
            lambda requests: read_history(postgres, requests),
            name=f"Shard {postgres.name}",
            work="read histories",
            slots=limits.flushes_in_flight,
            batch_max=limits.batch_rows_max,
            queue_max=limits.queue_rows_max,
            gate=gate,
            admit=postgres.breaker.require,
        )
        for coalescer in (self._sessions, self.history):
            postgres.breaker.watch(coalescer.refuse_waiting)

    async def find_player(self, session_id: UUID, patience_s: float) -> int | None:
        """Whose session this is; None where the shard does not hold it.

        Raises:
            Unavailable: the shard does not answer.
            TimeoutError: nor does it within this time.
        """
        asked = self._sessions.put(session_id)
        for _ in range(_PATIENCE_SLICES):
            await asyncio.wait([asked], timeout=patience_s / _PATIENCE_SLICES)
            if asked.done():
                return asked.result()
        asked.cancel()
        raise TimeoutError

    async def close(self) -> None:
        """Answer what was accepted, then close every connection."""
        with suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_S_MAX):
                await self.writer.drained()
        await asyncio.gather(self.postgres.close(), self.replicas.close())

    async def read_behind(
        self, replica: Replica | None, read: Callable[[Postgres], Awaitable[Answer]], is_whole: Callable[[Answer], bool]
    ) -> Answer:
        """What `read` finds at the replica, and where it does not find all there, or there is none, at the primary.

        Raises:
            Unavailable: the primary was needed and does not answer.
        """
        if replica is not None:
            answer = await replica.ask(read, REPLICA_PAGE_S_MAX)
            if answer is not None and is_whole(answer):
                return answer
        return await read(self.postgres)

    async def _find_sessions(self, ids: list[UUID]) -> list[int | None]:
        found = await find_sessions(self.postgres, ids)
        return [found.get(id_) for id_ in ids]
