"""Open what the use cases work with, and run what works in the background beside them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from app.settings import Settings
from db.directory import DirectoryEntry
from db.postgres import ConnectionLimits, Postgres
from domain.errors import ShardboardError
from domain.standing import GLOBAL_BOARD
from domain.tasks import end_tasks
from ranking.projection import Projection
from ranking.seen_ids import SeenIds
from ranking.signals import Signals
from ranking.store import Store
from service.find_shards import find_shards
from service.parts import Parts
from service.prepare import keep_partitions_ready
from service.relay import Relay
from service.shard_workers import ShardWorkers
from service.sql_ranks import SqlRanks
from service.watches import Watches
from sharding.router import Router
from sharding.shard import WriteLimits

logger = logging.getLogger(__name__)

_PARTITION_CHECK_INTERVAL_S = 3600.0
_PARTITION_RETRY_S = 5.0
# How soon a process without traffic learns of new shards, and a bucket whose mover died in the middle of a switch is
# its new owner's.
_SHARDS_REFRESH_INTERVAL_S = 2.0


@asynccontextmanager
async def open_parts(settings: Settings, *, background: bool = True) -> AsyncIterator[Parts]:
    """The parts of one process.

    Args:
        background: whether to run the relay, the listener for changed boards, the keeper of partitions and that of the
            map of shards as well; the command line does not need them.

    Raises:
        MapError: the shards' answers make no valid map.
        OperatorError: a shard is not migrated, or an address leads to another shard.
    """
    store = Store(settings.redis_url, timeout_s=settings.redis_timeout_ms / 1000)
    router = make_router(settings)
    signals = Signals(store)
    projection = Projection(store, GLOBAL_BOARD)
    sql_ranks = SqlRanks(router, settings.sql_rank_depth_max)
    parts = Parts(
        router=router,
        store=store,
        projection=projection,
        seen_ids=SeenIds(store, settings.id_window),
        signals=signals,
        sql_ranks=sql_ranks,
        watches=Watches(projection, sql_ranks, signals),
        id_window=settings.id_window,
        deadline_s=settings.deadline_ms / 1000,
    )
    relay = Relay(parts, interval_s=settings.relay_interval_ms / 1000)
    keepers = ShardWorkers(router, lambda shard: _keep_partitions(shard.postgres, settings))
    refreshing: list[asyncio.Task[None]] = []
    try:
        await router.open()
        if background:
            await signals.start()
            relay.start()
            keepers.start()
            refreshing.append(asyncio.create_task(router.keep_fresh(_SHARDS_REFRESH_INTERVAL_S)))
        yield parts
    finally:
        await parts.watches.close()
        await end_tasks(refreshing)
        await keepers.close()
        await relay.close()
        await router.close()
        await signals.close()
        await store.close()


def make_router(settings: Settings) -> Router:
    """A router that finds all shards through those of the settings; not yet open."""
    return Router(
        seeds_of(settings),
        lambda name, url: Postgres(name, url, connection_limits(settings)),
        WriteLimits(
            settings.flushes_in_flight, settings.flushes_at_once, settings.batch_rows_max, settings.queue_rows_max
        ),
    )


@asynccontextmanager
async def open_postgreses(settings: Settings) -> AsyncIterator[list[Postgres]]:
    """Every shard of the deployment, through its PgBouncer; connected when first used."""

    def connect(entry: DirectoryEntry) -> Postgres:
        return Postgres(entry.name, entry.url, connection_limits(settings))

    postgreses = [connect(entry) for entry in await find_shards(seeds_of(settings), connect)]
    try:
        yield postgreses
    finally:
        await asyncio.gather(*(postgres.close() for postgres in postgreses))


def seeds_of(settings: Settings) -> list[DirectoryEntry]:
    """The shards of the settings; what the shards' own directories say of them is newer."""
    return [DirectoryEntry(shard.name, shard.url, shard.direct_url, version=0) for shard in settings.shards]


def connection_limits(settings: Settings) -> ConnectionLimits:
    """The bounds of one process's connections to one shard."""
    return ConnectionLimits(
        # The writer's batches, the readers' batches, and two for all else (the relay, single reads).
        lanes=2 * settings.flushes_in_flight + 2,
        pool_size=settings.pool_size,
        connect_timeout_s=settings.connect_timeout_ms / 1000,
        statement_timeout_s=settings.deadline_ms * 0.6 / 1000,
    )


async def _keep_partitions(postgres: Postgres, settings: Settings) -> None:
    """Make the coming months of one shard, now and every hour."""
    while True:
        pause_s = _PARTITION_CHECK_INTERVAL_S
        try:
            made = await keep_partitions_ready(
                postgres, back_days=settings.id_window_back_days, months_ahead=settings.partition_months_ahead
            )
            if made:
                logger.info("shard %s has new partitions: %s", postgres.name, ", ".join(map(str, made)))
        except ShardboardError as error:
            logger.warning("shard %s: no new partitions: %s", postgres.name, error)
            pause_s = _PARTITION_RETRY_S
        except Exception:
            logger.exception("shard %s: no new partitions", postgres.name)
            pause_s = _PARTITION_RETRY_S
        await asyncio.sleep(pause_s)
