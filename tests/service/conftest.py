"""The service's parts on the session's cluster, as one process has them."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from db.postgres import Postgres
from infra.local.cluster import LocalCluster
from service.parts import Parts
from service.prepare import keep_partitions_ready
from tests.factories import opened_parts
from tests.service.boards import ranks_are_there
from tests.waiting import until


@pytest.fixture(scope="session")
async def partitions(cluster: LocalCluster) -> None:
    for shard in cluster.shards:
        postgres = Postgres(shard.name, shard.direct_url)
        await keep_partitions_ready(postgres, back_days=30, months_ahead=1)
        await postgres.close()


@pytest.fixture
async def ready(clean: LocalCluster, partitions: None) -> LocalCluster:
    """The session's cluster, without data."""
    return clean


@pytest.fixture
async def parts(ready: LocalCluster) -> AsyncIterator[Parts]:
    """One process's parts with a relay; the ranks of the empty board are there."""
    async with opened_parts(ready) as parts:
        await until(lambda: ranks_are_there(parts))
        yield parts
