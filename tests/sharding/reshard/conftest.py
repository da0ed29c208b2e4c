"""A fleet on the session's cluster; buckets that a test moved are given back, and nothing of its moves stays."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from db.replication import drop_slot, read_slots
from infra.local.cluster import LocalCluster
from sharding.reshard.fleet import Fleet
from sharding.router import Router
from tests.db.shards import connected
from tests.sharding.reshard.fleets import opened_fleet
from tests.sharding.routers import opened_router, reset_owners
from tests.waiting import until


@pytest.fixture
async def shards(clean: LocalCluster) -> AsyncIterator[LocalCluster]:
    """The session's cluster without data."""
    yield clean
    for shard in clean.shards:
        async with connected(shard.direct_url) as connection:
            for (name,) in await connection.fetch(
                "select subname from pg_subscription where starts_with(subname, 'shardboard_move_')"
            ):
                await connection.execute(f"alter subscription {name} disable")
                await connection.execute(f"alter subscription {name} set (slot_name = none)")
                await connection.execute(f"drop subscription {name}")
    async with opened_fleet(clean) as fleet:
        for postgres in fleet.direct.values():
            for slot in await read_slots(postgres):
                await until(lambda postgres=postgres, name=slot.name: drop_slot(postgres, name))  # type: ignore[misc]
            for (name,) in await postgres.call("select pubname from pg_publication"):
                await postgres.call(f"drop publication {name}")
    await reset_owners(clean)


@pytest.fixture
async def fleet(shards: LocalCluster) -> AsyncIterator[Fleet]:
    async with opened_fleet(shards) as fleet:
        yield fleet


@pytest.fixture
async def router(shards: LocalCluster) -> AsyncIterator[Router]:
    async with opened_router(shards) as router:
        yield router
