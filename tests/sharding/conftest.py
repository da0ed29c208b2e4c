"""A router on the session's cluster, whose shards hold no data and own what they owned at first."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from domain.resilience.backlog import Backlog
from infra.local.cluster import LocalCluster
from sharding.router import Router
from tests.sharding.routers import opened_router, reset_owners


@pytest.fixture
async def shards(clean: LocalCluster) -> AsyncIterator[LocalCluster]:
    """The session's cluster without data; buckets that a test moved are given back."""
    yield clean
    await reset_owners(clean)


@pytest.fixture
async def router(shards: LocalCluster) -> AsyncIterator[Router]:
    async with opened_router(shards) as router:
        yield router


@pytest.fixture
def patient_queues(monkeypatch: pytest.MonkeyPatch) -> None:
    """Queues that refuse nothing: on a machine that stands still for half a second they rightly would."""
    monkeypatch.setattr(Backlog.__init__, "__kwdefaults__", {"grace_s": 60.0, "age_s_max": 60.0})
