"""The session's cluster with players, and a backup of it; who owns what is as before afterwards."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from infra.local.cluster import LocalCluster
from service.renew_ranks import renew_ranks
from sharding.reshard.fleet import Fleet
from tests.factories import opened_parts
from tests.service.backup.world import keep, play
from tests.sharding.routers import reset_owners


@pytest.fixture
async def played(clean: LocalCluster) -> AsyncIterator[LocalCluster]:
    """Two hundred players, a thousand sessions, and their ranks."""
    async with opened_parts(clean, background=False) as parts:
        await renew_ranks(parts)
        await play(parts)
    yield clean
    await reset_owners(clean)


@pytest.fixture
async def kept(played: LocalCluster, fleet: Fleet, tmp_path: Path) -> Path:
    """A backup of them."""
    await keep(fleet, tmp_path / "kept")
    return tmp_path / "kept"
