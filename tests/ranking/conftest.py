"""A board in the session's Valkey, empty and ready."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from infra.local.cluster import LocalCluster
from ranking.keys import BoardKeys
from ranking.projection import Projection
from ranking.rebuild import Rebuild
from ranking.store import Store


@pytest.fixture
async def redis(cluster: LocalCluster) -> AsyncIterator[Redis]:
    """Valkey itself, without any key."""
    await cluster.child("valkey").until_ready()
    async with Redis.from_url(cluster.redis_url) as redis:
        await redis.flushall()
        yield redis
        await redis.flushall()


@pytest.fixture
async def store(cluster: LocalCluster, redis: Redis) -> AsyncIterator[Store]:
    store = Store(cluster.redis_url, timeout_s=2.0)
    yield store
    await store.close()


@pytest.fixture
def keys() -> BoardKeys:
    return BoardKeys("global")


@pytest.fixture
async def projection(store: Store, keys: BoardKeys) -> Projection:
    """The ranks of an empty board."""
    rebuild = await Rebuild.begin(store, keys)
    assert rebuild is not None
    await rebuild.finish({})
    return Projection(store, keys.board)
