"""A fleet on the session's cluster; buckets that a test moved are given back, and nothing of its moves stays."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from infra.local.cluster import LocalCluster
from sharding.reshard.fleet import Fleet
from sharding.router import Router
from tests.sharding.reshard.fleets import opened_fleet
from tests.sharding.routers import opened_router


@pytest.fixture
def shards(movable: LocalCluster) -> LocalCluster:
    return movable


@pytest.fixture
async def fleet(shards: LocalCluster) -> AsyncIterator[Fleet]:
    async with opened_fleet(shards) as fleet:
        yield fleet


@pytest.fixture
async def router(shards: LocalCluster) -> AsyncIterator[Router]:
    async with opened_router(shards) as router:
        yield router
