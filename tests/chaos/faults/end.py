"""The end of the fault run: everything is mended and at rest, and has to add up before long."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

from app.parts import open_parts
from app.settings import Settings, ShardAddress
from domain.errors import ShardboardError
from service.verify_ranks import verify_ranks
from tests.chaos.chains import chains_of
from tests.chaos.check_failures import check_deadlines, check_failures
from tests.chaos.check_ids import check_ids
from tests.chaos.check_reads import check_reads
from tests.chaos.check_writes import check_writes
from tests.chaos.clock import now
from tests.chaos.faults.check_redis import check_without_redis
from tests.chaos.faults.service import FaultyService
from tests.chaos.history import Violation
from tests.chaos.last_state import check_watcher
from tests.chaos.stored import Stored, read_stored
from tests.chaos.watcher import Watcher

# After the last fault all has to be as it should within so long.
GREEN_S_MAX = 30.0
_LOOK_REST_S = 0.3


async def check_end(service: FaultyService, watchers: Sequence[Watcher]) -> tuple[list[Violation], Stored]:
    """Everything that does not add up, and what the shards hold."""
    give_up_at = now() + GREEN_S_MAX
    stored = await read_stored(service.direct_urls)
    chains = chains_of(stored.sessions, service.history)
    converged = [each async for each in _check_ranks(service, give_up_at)]
    for watcher in watchers:
        converged += [each async for each in check_watcher(watcher, chains, give_up_at - now())]
    service.say(f"as it should be after {now() + GREEN_S_MAX - give_up_at:.1f} s")
    violations = [
        *check_writes(service.history, stored),
        *check_ids(service.history),
        *check_failures(service.history),
        *check_deadlines(service.history),
        *check_without_redis(service.history),
        *check_reads(service.history, chains),
        *converged,
    ]
    return violations, stored


async def _check_ranks(service: FaultyService, give_up_at: float) -> AsyncIterator[Violation]:
    """Redis becomes what the shards say, by itself: members, totals, games, names, and how many there are."""
    shards = [ShardAddress(name=each.name, url=each.url, direct_url=each.direct_url) for each in service.cluster.shards]
    settings = Settings(shards=shards, redis_url=service.cluster.redis_url)
    while True:
        try:
            async with open_parts(settings, background=False) as parts:
                verified = await verify_ranks(parts)
            trouble = str(verified.differences) if verified.differences else ""
        except ShardboardError as error:
            trouble = str(error)
        if not trouble:
            return
        if now() > give_up_at:
            yield Violation("ranks converge", trouble)
            return
        await asyncio.sleep(_LOOK_REST_S)
