"""Two API processes on the session's cluster, each on a port of its own so that a test can choose."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from infra.local.cluster import LocalCluster
from tests.acceptance.client import Api
from tests.apis import clients_of, running_apis, until_ranks_are_whole


@pytest.fixture(scope="module")
async def _apis(cluster: LocalCluster) -> AsyncIterator[list[Api]]:
    async with running_apis(cluster, ("one", "other")) as children, clients_of(children) as apis:
        yield apis


@pytest.fixture
async def api(clean: LocalCluster, _apis: list[Api]) -> Api:
    """An API process on a cluster without data, whose ranks are whole."""
    await until_ranks_are_whole(clean)
    return _apis[0]


@pytest.fixture
def other_api(api: Api, _apis: list[Api]) -> Api:
    """Another process that serves the same cluster."""
    return _apis[1]
