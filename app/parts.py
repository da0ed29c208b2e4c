"""Open what the use cases work with, and run what works in the background beside them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial

from pydantic import SecretStr

from app.settings import Settings
from db.address import place_of
from db.directory import DirectoryEntry, read_directory_as_service
from db.postgres import ConnectionLimits, Postgres
from db.traced import make_postgres
from domain.errors import ShardboardError
from domain.resilience.backoff import UPKEEP
from domain.resilience.limits import STATEMENT_SHARE
from domain.signature import Signing
from domain.standing import GLOBAL_BOARD
from domain.tasks import end_tasks
from ranking.projection import Projection
from ranking.seen_ids import SeenIds
from ranking.signals import Signals
from ranking.store import Store
from service.access import Access
from service.find_shards import find_shards
from service.key_ring import KeyRing
from service.observe_drift import DriftObserver
from service.observe_players import PlayerObserver
from service.observe_shards import ShardObserver
from service.parts import Parts
from service.player_tokens import Algorithm, PlayerTokens, TokenRules
from service.prepare import keep_partitions_ready
from service.rate_limits import RateLimits
from service.relay import Relay
from service.serving import Serving, require_servable
from service.shard_workers import ShardWorkers
from service.sql_ranks import SqlRanks
from service.watches import Watches
from sharding.router import Router
from sharding.shard import Shard, WriteLimits

logger = logging.getLogger(__name__)

_PARTITION_CHECK_INTERVAL_S = 3600.0
# How soon a process without traffic learns of new shards, and a bucket whose mover died in the middle of a switch is
# its new owner's.
_SHARDS_REFRESH_INTERVAL_S = 2.0


@asynccontextmanager
async def open_parts(settings: Settings, *, background: bool = True) -> AsyncIterator[Parts]:
    """The parts of one process.

    Args:
        background: whether to run the relay, the listener for changed boards, the keeper of partitions, that of the map
            of shards and whoever looks at replicas as well; the command line does not need them.

    Raises:
        MapError: the shards' answers make no valid map.
        OperatorError: a shard is not migrated, its tables are none that this version can serve, an address leads to
            another shard, or the Redis is a cluster.
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
        access=_make_access(settings, router, store),
        players=PlayerObserver(store),
    )
    relay = Relay(parts, interval_s=settings.relay_interval_ms / 1000)
    serving = Serving(router)
    keepers = ShardWorkers(router, lambda shard: _keep_partitions(shard.postgres, settings))
    lookers = ShardWorkers(router, lambda shard: shard.replicas.keep_looking())
    observer = ShardObserver(router)
    drift = DriftObserver(parts, interval_s=settings.drift_interval_ms / 1000)
    refreshing: list[asyncio.Task[None]] = []
    try:
        await router.open()
        await store.open()
        if background:
            await serving.start()
            await signals.start()
            relay.start()
            keepers.start()
            lookers.start()
            parts.access.keys.start()
            parts.players.start()
            observer.start()
            drift.start()
            refreshing.append(asyncio.create_task(router.keep_fresh(_SHARDS_REFRESH_INTERVAL_S)))
        else:
            await require_servable(router)
        yield parts
    finally:
        await parts.watches.close()
        await end_tasks(refreshing)
        await drift.close()
        await observer.close()
        await parts.players.close()
        await keepers.close()
        await lookers.close()
        await parts.access.keys.close()
        await relay.close()
        await serving.close()
        await router.close()
        await parts.seen_ids.close()
        await signals.close()
        await store.close()


def make_router(settings: Settings, seeds: Sequence[DirectoryEntry] | None = None) -> Router:
    """A router that finds all shards through `seeds`, those of the settings where not given; not yet open."""
    return Router(
        seeds_of(settings) if seeds is None else seeds,
        lambda name, url: make_postgres(name, url, connection_limits(settings)),
        WriteLimits(
            settings.flushes_in_flight, settings.flushes_at_once, settings.batch_rows_max, settings.queue_rows_max
        ),
        connect_replica=lambda name, url: make_postgres(
            name, url, connection_limits(settings), called=f"the replica at {place_of(url)} of shard {name}"
        ),
        replica_lag_s_max=settings.replica_lag_seconds_max,
    )


def _make_access(settings: Settings, router: Router, store: Store) -> Access:
    return Access(
        keys=KeyRing(
            lambda: [shard.postgres for shard in router.shards.values()],
            {"server": _text(settings.server_key), "admin": _text(settings.admin_key)},
        ),
        tokens=PlayerTokens(_token_rules(settings, settings.jwt_algorithm)) if settings.jwt_algorithm else None,
        limits=RateLimits(store),
        signing=Signing(
            {game: secret.get_secret_value().encode() for game, secret in settings.signing_secrets.items()},
            settings.signatures,
        ),
        reads_open=settings.reads_open,
        address_reads_per_minute=settings.address_reads_per_minute,
        trusted_proxies=tuple(settings.trusted_proxies),
    )


def _token_rules(settings: Settings, algorithm: Algorithm) -> TokenRules:
    return TokenRules(
        algorithm=algorithm,
        audience=settings.jwt_audience,
        issuer=settings.jwt_issuer,
        secret=_text(settings.jwt_secret),
        secret_also=_text(settings.jwt_secret_also),
        key_set=settings.jwt_jwks,
        leeway_s=settings.jwt_leeway_seconds,
        submissions_per_minute=settings.player_submissions_per_minute,
        reads_per_minute=settings.player_reads_per_minute,
    )


def _text(secret: SecretStr | None) -> str | None:
    return None if secret is None else secret.get_secret_value()


@asynccontextmanager
async def open_postgreses(settings: Settings) -> AsyncIterator[list[Postgres]]:
    """Every shard of the deployment, through its PgBouncer; connected when first used."""
    postgreses = [_connect(entry, settings) for entry in await _find_entries(settings)]
    try:
        yield postgreses
    finally:
        await asyncio.gather(*(postgres.close() for postgres in postgreses))


@asynccontextmanager
async def open_shards(settings: Settings) -> AsyncIterator[list[Shard]]:
    """Every shard of the deployment with its replicas, whatever the map of buckets; connected when first used."""
    router = make_router(settings, await _find_entries(settings))
    try:
        yield list(router.shards.values())
    finally:
        await router.close()


async def _find_entries(settings: Settings) -> list[DirectoryEntry]:
    return await find_shards(seeds_of(settings), partial(_connect, settings=settings), read_directory_as_service)


def _connect(entry: DirectoryEntry, settings: Settings) -> Postgres:
    return Postgres(entry.name, entry.url, connection_limits(settings))


def seeds_of(settings: Settings) -> list[DirectoryEntry]:
    """The shards of the settings; what the shards' own directories say of them is newer."""
    return [
        DirectoryEntry(shard.name, shard.url, shard.direct_url or "", version=0, replicas=shard.replicas)
        for shard in settings.shards
    ]


def connection_limits(settings: Settings) -> ConnectionLimits:
    """The bounds of one process's connections to one shard."""
    return ConnectionLimits(
        # The writer's batches, the readers' batches, and two for all else (the relay, single reads).
        lanes=2 * settings.flushes_in_flight + 2,
        pool_size=settings.pool_size,
        connect_timeout_s=settings.connect_timeout_ms / 1000,
        statement_timeout_s=settings.deadline_ms / 1000 * STATEMENT_SHARE,
    )


async def _keep_partitions(postgres: Postgres, settings: Settings) -> None:
    """Make the coming months of one shard, now and every hour."""
    rests = UPKEEP.rests()
    while True:
        pause_s = _PARTITION_CHECK_INTERVAL_S
        try:
            made = await keep_partitions_ready(
                postgres, back_days=settings.id_window_back_days, months_ahead=settings.partition_months_ahead
            )
            rests = UPKEEP.rests()
            if made:
                logger.info("shard %s has new partitions: %s", postgres.name, ", ".join(map(str, made)))
        except ShardboardError as error:
            logger.warning("shard %s: no new partitions: %s", postgres.name, error)
            pause_s = next(rests)
        except Exception:
            logger.exception("shard %s: no new partitions", postgres.name)
            pause_s = next(rests)
        await asyncio.sleep(pause_s)
