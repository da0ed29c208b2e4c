"""Two API processes on the session's cluster, and an eye on what they log."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from infra.local.child import Child
from infra.local.cluster import LocalCluster
from tests.acceptance.client import Api
from tests.apis import clients_of, running_apis, until_ranks_are_whole


@pytest.fixture(scope="module")
async def _children(cluster: LocalCluster) -> AsyncIterator[list[Child]]:
    async with running_apis(cluster, ("live-one", "live-other")) as children:
        yield children


@pytest.fixture(scope="module")
async def _apis(_children: list[Child]) -> AsyncIterator[list[Api]]:
    async with clients_of(_children) as apis:
        yield apis


@pytest.fixture
def quiet_logs(_children: list[Child]) -> Iterator[None]:
    """Fails the test when one of the processes logged an error or a traceback meanwhile."""
    before = [child.spec.log.stat().st_size for child in _children]
    yield
    for child, size in zip(_children, before, strict=True):
        said = child.spec.log.read_bytes()[size:].decode()
        assert "Traceback" not in said, said
        assert " ERROR " not in said, said


@pytest.fixture
def served(_apis: list[Api], quiet_logs: None) -> Api:
    """An API process on a cluster with whatever is in it, for what needs no data: saves emptying it."""
    return _apis[0]


@pytest.fixture
def pid(_children: list[Child]) -> int:
    """The process of `served`."""
    return _children[0].pid


@pytest.fixture
async def api(clean: LocalCluster, _apis: list[Api], quiet_logs: None) -> Api:
    """An API process on a cluster without data, whose ranks are whole."""
    await until_ranks_are_whole(clean)
    return _apis[0]


@pytest.fixture
def other_api(api: Api, _apis: list[Api]) -> Api:
    """Another process that serves the same cluster."""
    return _apis[1]
