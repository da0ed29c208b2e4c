"""Two API processes that send traces to a collector of the test's."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from infra.local.cluster import LocalCluster
from tests.acceptance.client import Api
from tests.apis import clients_of, running_apis, until_ranks_are_whole
from tests.traces.collector import Collector, running_collector


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with running_collector() as running:
        yield running


@pytest.fixture(scope="module")
async def _traced_apis(cluster: LocalCluster, collector: Collector) -> AsyncIterator[list[Api]]:
    variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_BSP_SCHEDULE_DELAY": "50"}
    async with (
        running_apis(cluster, ("traced-one", "traced-other"), **variables) as children,
        clients_of(children) as apis,
    ):
        yield apis


@pytest.fixture
async def traced_apis(clean: LocalCluster, _traced_apis: list[Api]) -> list[Api]:
    """Two traced processes on a cluster without data, whose ranks are whole."""
    await until_ranks_are_whole(clean)
    return _traced_apis
