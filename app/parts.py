"""Open what the use cases work with, and run what works in the background beside them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from app.settings import Settings
from db.postgres import ConnectionLimits, Postgres
from domain.errors import ShardboardError
from domain.standing import GLOBAL_BOARD
from domain.tasks import end_tasks
from ranking.projection import Projection
from ranking.seen_ids import SeenIds
from ranking.signals import Signals
from ranking.store import Store
from service.parts import Parts
from service.prepare import keep_partitions_ready
from service.relay import Relay
from service.sql_ranks import SqlRanks
from service.watches import Watches
from sharding.router import Router, WriteLimits

logger = logging.getLogger(__name__)

_PARTITION_CHECK_INTERVAL_S = 3600.0
_PARTITION_RETRY_S = 5.0


@asynccontextmanager
async def open_parts(settings: Settings, *, background: bool = True) -> AsyncIterator[Parts]:
    """The parts of one process.

    Args:
        background: whether to run the relay, the listener for changed boards and the keeper of partitions as well;
            the command line does not need them.

    Raises:
        MapError: the shards' answers make no valid map.
        OperatorError: a shard is not migrated, or an address leads to another shard.
    """
    store = Store(settings.redis_url, timeout_s=settings.redis_timeout_ms / 1000)
    router = Router(make_postgreses(settings), write_limits(settings))
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
    keepers: list[asyncio.Task[None]] = []
    try:
        await router.open()
        if background:
            await signals.start()
            relay.start()
            keepers = [
                asyncio.create_task(_keep_partitions(shard.postgres, settings)) for shard in router.shards.values()
            ]
        yield parts
    finally:
        await parts.watches.close()
        await end_tasks(keepers)
        await relay.close()
        await router.close()
        await signals.close()
        await store.close()


def make_postgreses(settings: Settings) -> list[Postgres]:
    """One `Postgres` for each shard, through its PgBouncer, not yet connected."""
    limits = ConnectionLimits(
        # The writer's batches, the readers' batches, and two for all else (the relay, single reads).
        lanes=2 * settings.flushes_in_flight + 2,
        pool_size=settings.pool_size,
        connect_timeout_s=settings.connect_timeout_ms / 1000,
        statement_timeout_s=settings.deadline_ms * 0.6 / 1000,
    )
    return [Postgres(shard.name, shard.url, limits) for shard in settings.shards]


def write_limits(settings: Settings) -> WriteLimits:
    """The bounds of each shard's writer."""
    return WriteLimits(
        settings.flushes_in_flight, settings.flushes_at_once, settings.batch_rows_max, settings.queue_rows_max
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
