"""The months that submissions fall into, and a deployment that forgets what a test pruned."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from infra.local.cluster import LocalCluster
from tests.cli.shell import query, shardboard


@pytest.fixture
async def months(cluster: LocalCluster) -> None:
    done = await shardboard(cluster, "sessions", "partitions")
    assert done.code == 0, done.err


@pytest.fixture
async def forgetful(clean: LocalCluster, months: None) -> AsyncIterator[LocalCluster]:
    """The clean cluster, on which nothing was ever pruned afterwards."""
    yield clean
    await query(clean, "update shard_info set pruned_before = null")
