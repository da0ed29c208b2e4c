from __future__ import annotations

import asyncio
import gc
import os
import signal
import time
import warnings
from collections.abc import AsyncIterator

import pytest
import uvloop
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from domain.resilience.breaker import State
from infra.local.cluster import LocalCluster
from ranking.keys import BoardKeys
from ranking.marks import Marks
from ranking.projection import Projection
from ranking.store import RanksUnavailable, Store
from tests.factories import make_row
from tests.waiting import until


@pytest.fixture
async def read_only(redis: Redis) -> AsyncIterator[None]:
    """Valkey follows another server, as after a failover, and takes no writes."""
    await redis.replicaof("127.0.0.1", "1")
    yield
    await redis.replicaof("NO", "ONE")


@pytest.fixture
async def full(redis: Redis) -> AsyncIterator[None]:
    """Valkey holds as much as it may, and takes no writes."""
    await redis.config_set("maxmemory", "1")
    yield
    await redis.config_set("maxmemory", "0")


async def test_a_redis_that_takes_no_writes_is_unavailable(projection: Projection, read_only: None) -> None:
    with pytest.raises(RanksUnavailable, match="Redis does not answer"):
        await projection.apply(make_row(1, 1), 1, 1)


async def test_a_redis_that_is_full_is_unavailable(projection: Projection, full: None) -> None:
    with pytest.raises(RanksUnavailable, match="Redis does not answer"):
        await projection.apply(make_row(1, 1), 1, 1)


async def test_a_redis_that_is_busy_is_unavailable(store: Store, projection: Projection, redis: Redis) -> None:
    await redis.config_set("busy-reply-threshold", "1")
    looping = asyncio.ensure_future(redis.execute_command("EVAL", "while true do end", 0))  # type: ignore[no-untyped-call]
    try:
        await until(lambda: _is_busy(store))
        with pytest.raises(RanksUnavailable, match="Redis does not answer"):
            await projection.standing(1)
    finally:
        await store.redis.script_kill()
        with pytest.raises(ResponseError):
            await looping
        await redis.config_set("busy-reply-threshold", "5000")


async def _is_busy(store: Store) -> bool:
    try:
        await store.redis.ping()
    except ResponseError:
        return True
    return False


async def test_a_command_that_is_wrong_is_no_outage(store: Store, redis: Redis, keys: BoardKeys) -> None:
    await redis.set(keys.ready, "1")
    await redis.set(keys.ranks, "not a sorted set")
    with pytest.raises(ResponseError, match="WRONGTYPE"):
        await Projection(store, keys.board).standing(1)


async def test_scripts_that_redis_forgot_are_loaded_anew(projection: Projection, redis: Redis) -> None:
    await redis.script_flush()
    assert (await projection.apply(make_row(1, 1), 1, 1)).rank == 1


async def test_while_redis_hangs_nobody_waits_for_it_but_the_first(cluster: LocalCluster, redis: Redis) -> None:
    store = Store(cluster.redis_url, timeout_s=0.2)
    projection, marks = Projection(store, "global"), Marks(store, BoardKeys("global"))
    pid = cluster.child("valkey").pid
    os.kill(pid, signal.SIGSTOP)
    try:
        started = time.monotonic()
        with pytest.raises(RanksUnavailable):
            await projection.standing(1)
        assert time.monotonic() - started < 1.5
        await until(lambda: store.breaker.state in (State.OPEN, State.HALF_OPEN))
        started = time.monotonic()
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            for ask in (projection.standing(1), marks.ready(), marks.read("a"), marks.lease("a", "b", 1000)):
                with pytest.raises(RanksUnavailable):
                    await ask
            assert time.monotonic() - started < 0.2
            gc.collect()
        assert [str(warning.message) for warning in caught] == []
    finally:
        os.kill(pid, signal.SIGCONT)
    await until(store.answers)
    await until(lambda: _answers(marks))
    await store.close()


async def _answers(marks: Marks) -> bool:
    try:
        return not await marks.ready()
    except RanksUnavailable:
        return False


def test_a_connection_that_was_reset_is_opened_anew(cluster: LocalCluster, redis: Redis) -> None:
    """On the service's own loop, which says in its own way that a connection is closed."""

    async def ask_on_a_closed_connection() -> bool:
        store = Store(cluster.redis_url, timeout_s=2.0)
        try:
            assert await store.answers()
            (connection,) = store.redis.connection_pool._available_connections
            assert connection._writer is not None
            connection._writer.transport.abort()
            return bool(await store.answered(store.redis.ping()))
        finally:
            await store.close()

    assert uvloop.run(ask_on_a_closed_connection())
