"""The service's parts on the session's cluster, as one process has them."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from infra.local.cluster import LocalCluster
from service.parts import Parts
from tests.factories import opened_parts
from tests.service.boards import ranks_are_there
from tests.waiting import until


@pytest.fixture
async def ready(clean: LocalCluster) -> LocalCluster:
    """The session's cluster, without data."""
    return clean


@pytest.fixture
async def parts(ready: LocalCluster) -> AsyncIterator[Parts]:
    """One process's parts with a relay; the ranks of the empty board are there."""
    async with opened_parts(ready) as parts:
        await until(lambda: ranks_are_there(parts))
        yield parts
