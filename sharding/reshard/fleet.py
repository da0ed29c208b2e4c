"""All shards as a mover sees them: past their PgBouncers, and only while it alone may move anything."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TypeVar

from db.directory import DirectoryEntry
from db.mover_lock import MoverLock, describe_self
from db.ownership import claim_buckets, read_ownership
from db.postgres import Postgres
from domain.errors import OperatorError
from sharding.shardmap import ShardMap, build_map

Answer = TypeVar("Answer")


@dataclass(frozen=True, slots=True)
class Fleet:
    """Every shard by its name: where it is, and a direct connection to it."""

    entries: Mapping[str, DirectoryEntry]
    direct: Mapping[str, Postgres]

    def postgres(self, name: str) -> Postgres:
        """The direct connection to a shard.

        Raises:
            OperatorError: there is no such shard.
        """
        if name not in self.direct:
            raise OperatorError(f"There is no shard {name!r}; there are {', '.join(sorted(self.direct))}.")
        return self.direct[name]

    def direct_url(self, name: str) -> str:
        """Where other shards reach this one."""
        self.postgres(name)
        return self.entries[name].direct_url

    async def ask(self, read: Callable[[Postgres], Awaitable[Answer]]) -> dict[str, Answer]:
        """Ask every shard, all at the same time; by name.

        Raises:
            Unavailable: one of them does not answer.
        """
        answers = await asyncio.gather(*(read(postgres) for postgres in self.direct.values()))
        return dict(zip(self.direct, answers, strict=True))

    async def read_map(self) -> ShardMap:
        """Who owns what, as the shards say; handovers that their targets do not know yet are carried to them.

        Raises:
            Unavailable: a shard does not answer.
            MapError: the shards' answers make no valid map.
        """
        while True:
            found = build_map(await self.ask(read_ownership))
            if not found.unclaimed:
                return found
            for target, epochs in found.unclaimed.items():
                await claim_buckets(self.postgres(target), epochs)


class FleetLocks:
    """The movers' lock on every shard."""

    def __init__(self, fleet: Fleet, work: str, *, shared: bool) -> None:
        who = describe_self(work)
        # Always in this order: of two who begin at once, one gets the first lock and with it all the others.
        self._locks = [MoverLock(fleet.direct[name], who, shared=shared) for name in sorted(fleet.direct)]

    async def require(self) -> None:
        """See that every lock is held; take again what got lost with a shard that was started anew.

        Nobody else got all of them meanwhile: the others are still held here.

        Raises:
            Unavailable: a shard does not answer.
            OperatorError: somebody else is at work; says who.
        """
        for lock in self._locks:
            await lock.take()

    async def release(self) -> None:
        """Let others have them."""
        await asyncio.gather(*(lock.release() for lock in self._locks))


@asynccontextmanager
async def locked_fleet(fleet: Fleet, work: str, *, shared: bool = False) -> AsyncIterator[FleetLocks]:
    """Hold the movers' lock on every shard.

    Args:
        work: what for, in one word, for others who want it meanwhile.
        shared: for work that only must not see buckets move.

    Raises:
        Unavailable: a shard does not answer.
        OperatorError: somebody else is at work; says who.
    """
    locks = FleetLocks(fleet, work, shared=shared)
    try:
        await locks.require()
        yield locks
    finally:
        await locks.release()
