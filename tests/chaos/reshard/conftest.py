"""Players whose buckets are about to move."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from infra.local.cluster import LocalCluster
from tests.chaos.reshard.world import BUCKETS, TARGET, World
from tests.sharding.reshard.fleets import opened_fleet, plan
from tests.sharding.routers import opened_router


@pytest.fixture
async def world(movable: LocalCluster) -> AsyncIterator[World]:
    """Everybody has played, and a move of all of them is planned."""
    async with opened_fleet(movable) as fleet, opened_router(movable) as router:
        world = World(movable, fleet, router)
        await world.play()
        await plan(fleet, BUCKETS, TARGET)
        yield world
