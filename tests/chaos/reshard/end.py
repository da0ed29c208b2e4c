"""The end of a round: everything is healed and at rest, and has to add up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable

import asyncpg
import psutil

from db.replication import list_traces
from sharding.placement import BUCKET_COUNT
from sharding.router import Router
from tests.chaos.chains import chains_of
from tests.chaos.check_failures import check_failures
from tests.chaos.check_reads import check_reads
from tests.chaos.check_writes import check_writes
from tests.chaos.clock import now
from tests.chaos.history import Violation
from tests.chaos.last_state import check_watcher
from tests.chaos.reshard.operator import Operator
from tests.chaos.service import Service
from tests.chaos.stored import Stored, read_stored
from tests.chaos.watcher import Watcher
from tests.db.shards import connected
from tests.infra.clusters import is_alive
from tests.sharding.routers import opened_direct, opened_router

# Redis catches up by itself, and watchers with it, within so long.
CONVERGED_S_MAX = 30.0
_DIRECTORY = "select name, url, direct_url, removed, capacity_bytes, version from shard_directory order by name"


async def check_end(
    service: Service, operator: Operator, watcher: Watcher, gone: Iterable[psutil.Process]
) -> tuple[list[Violation], Stored]:
    """Everything that does not add up, and what the shards hold.

    Args:
        gone: the processes of shards that were removed.
    """
    stored = await read_stored(service.direct_urls)
    chains = chains_of(stored.sessions, service.history)
    violations = [
        *check_writes(service.history, stored),
        *check_failures(service.history),
        *check_reads(service.history, chains),
        *[each async for each in check_watcher(watcher, chains, CONVERGED_S_MAX)],
        *[each async for each in _check_ranks(operator)],
        *[each async for each in _check_shards(service, operator)],
        *[each async for each in _check_router(service, stored)],
        *(Violation("removed", f"{process} is still alive") for process in gone if is_alive(process)),
    ]
    return violations, stored


async def _check_ranks(operator: Operator) -> AsyncIterator[Violation]:
    """Redis agrees with the shards before long, whatever it missed."""
    give_up_at = now() + CONVERGED_S_MAX
    while (finished := await operator.run("ranks", "verify")).code != 0:
        if now() > give_up_at:
            yield Violation("ranks converge", "\n".join(finished.lines))
            return


async def _check_shards(service: Service, operator: Operator) -> AsyncIterator[Violation]:
    """Nothing is left of moves, and all shards know the same ones."""
    finished = await operator.run("shards", "verify")
    if finished.code != 0:
        yield Violation("shards verify", "\n".join(finished.lines))
    for move in await operator.unended():
        yield Violation("moves end", str(move))
    async with opened_direct(*service.cluster.shards) as postgreses:
        for postgres in postgreses:
            if traces := await list_traces(postgres):
                yield Violation("nothing left", f"{postgres.name} has {traces}")
    known = await asyncio.gather(*(_read_directory(url) for url in service.direct_urls.values()))
    if any(each != known[0] for each in known):
        yield Violation("one directory", f"{dict(zip(service.direct_urls, known, strict=True))}")
    present = {row["name"] for row in known[0] if not row["removed"]}
    if known[0] and present - set(service.shard_names):
        yield Violation("one directory", f"it names {present}, there are {service.shard_names}")


async def _read_directory(url: str) -> list[asyncpg.Record]:
    async with connected(url) as connection:
        return list(await connection.fetch(_DIRECTORY))


async def _check_router(service: Service, stored: Stored) -> AsyncIterator[Violation]:
    """A new process finds every bucket where it is."""
    router: Router
    async with opened_router(service.cluster) as router:
        owners = router.map.owners
        claimed = tuple(stored.owners.get(bucket, [("nobody", 0)])[0][0] for bucket in range(BUCKET_COUNT))
        if owners != claimed:
            yield Violation("whole map", f"{sum(a != b for a, b in zip(owners, claimed, strict=True))} buckets differ")
        if router.map.unclaimed:
            yield Violation("whole map", f"not claimed: {router.map.unclaimed}")
