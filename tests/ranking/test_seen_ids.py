"""Which ids may have been used before: none is denied that a Redis has forgotten."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from uuid import UUID

import psutil
import pytest
from redis.asyncio import Redis

from domain.ids import make_uuid7
from domain.submission import IdWindow
from infra.local.cluster import LocalCluster
from ranking import seen_ids as module
from ranking.seen_ids import SeenIds
from ranking.store import RanksUnavailable, Store
from tests.waiting import until

WINDOW = IdWindow()
_AHEAD_MS = 300_000


def new_id(ahead_ms: int = 0) -> UUID:
    return make_uuid7(time.time_ns() // 1_000_000 + ahead_ms)


@pytest.fixture
async def seen_ids(store: Store) -> SeenIds:
    """The filter of a deployment without sessions."""
    seen_ids = SeenIds(store, WINDOW)
    await seen_ids.begin()
    return seen_ids


async def test_an_id_is_new_once(seen_ids: SeenIds) -> None:
    id_, other = new_id(), new_id(-86_400_000)
    assert await seen_ids.maybe_seen_all([id_, other]) == [False, False]
    assert await seen_ids.maybe_seen_all([new_id(), id_, other]) == [False, True, True]


async def test_before_anything_is_known_every_id_may_have_been_used(store: Store) -> None:
    assert await SeenIds(store, WINDOW).maybe_seen(new_id()) is True


async def test_what_an_emptied_redis_has_forgotten_may_have_been_used(seen_ids: SeenIds, redis: Redis) -> None:
    await redis.flushall()
    # Any id that was accepted before is older than these are, or as new as the first of them at most.
    assert await seen_ids.maybe_seen(new_id(_AHEAD_MS - 1_000)) is True
    assert await seen_ids.maybe_seen(new_id(_AHEAD_MS + 1_000)) is False


async def test_what_a_redis_lost_that_started_anew_may_have_been_used(
    seen_ids: SeenIds, redis: Redis, cluster: LocalCluster
) -> None:
    assert await seen_ids.maybe_seen(new_id()) is False
    valkey = cluster.child("valkey")
    valkey.crash()
    await valkey.until_ready()
    await redis.connection_pool.disconnect()
    assert await seen_ids.maybe_seen(new_id()) is True
    assert await seen_ids.maybe_seen(new_id(_AHEAD_MS + 1_000)) is False


@pytest.fixture
async def paused(cluster: LocalCluster, redis: Redis) -> AsyncIterator[psutil.Process]:
    """Valkey, which does not answer until it is told to go on."""
    process = psutil.Process(cluster.child("valkey").pid)
    process.suspend()
    yield process
    process.resume()


async def test_what_was_used_while_redis_was_away_it_is_told_later(
    seen_ids: SeenIds, paused: psutil.Process, cluster: LocalCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_TELL_REST_S", 0.01)
    monkeypatch.setattr(module, "_UNTOLD_MAX", 3)
    store = Store(cluster.redis_url, timeout_s=0.05)
    cut_off = SeenIds(store, WINDOW)
    ids = [new_id() for _ in range(3)]
    with pytest.raises(RanksUnavailable):
        await cut_off.maybe_seen(ids[0])
    with pytest.raises(RanksUnavailable):
        await cut_off.maybe_seen_all(ids[1:])
    paused.resume()
    await until(lambda: not cut_off.untold)
    assert await seen_ids.maybe_seen_all([*ids, new_id()]) == [True, True, True, False]
    await cut_off.close()
    await store.close()


async def test_where_too_many_were_used_every_id_may_have_been(
    seen_ids: SeenIds, paused: psutil.Process, cluster: LocalCluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_TELL_REST_S", 0.01)
    monkeypatch.setattr(module, "_UNTOLD_MAX", 1)
    store = Store(cluster.redis_url, timeout_s=0.05)
    cut_off = SeenIds(store, WINDOW)
    with pytest.raises(RanksUnavailable):
        await cut_off.maybe_seen_all([new_id(), new_id()])
    paused.resume()
    await until(lambda: not cut_off.untold)
    assert await seen_ids.maybe_seen(new_id()) is True
    await cut_off.close()
    await store.close()
