"""The session's cluster with players, and a backup of it; who owns what is as before afterwards."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from infra.local.cluster import LocalCluster
from sharding.reshard.fleet import Fleet
from tests.service.backup.world import keep, played_on


@pytest.fixture
async def played(clean: LocalCluster) -> AsyncIterator[LocalCluster]:
    """The cluster, with players."""
    async with played_on(clean):
        yield clean


@pytest.fixture
async def kept(played: LocalCluster, fleet: Fleet, tmp_path: Path) -> Path:
    """A backup of them."""
    await keep(fleet, tmp_path / "kept")
    return tmp_path / "kept"
