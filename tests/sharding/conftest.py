"""A router on the session's cluster, whose shards hold no data and own what they owned at first."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from db.postgres import Postgres
from infra.local.cluster import LocalCluster
from service.prepare import keep_partitions_ready
from sharding.router import Router
from tests.sharding.routers import opened_router, reset_owners


@pytest.fixture(scope="session")
async def partitions(cluster: LocalCluster) -> None:
    for shard in cluster.shards:
        postgres = Postgres(shard.name, shard.direct_url)
        await keep_partitions_ready(postgres, back_days=30, months_ahead=1)
        await postgres.close()


@pytest.fixture
async def shards(clean: LocalCluster, partitions: None) -> AsyncIterator[LocalCluster]:
    """The session's cluster without data; buckets that a test moved are given back."""
    yield clean
    await reset_owners(clean)


@pytest.fixture
async def router(shards: LocalCluster) -> AsyncIterator[Router]:
    async with opened_router(shards) as router:
        yield router
