"""Two API processes on the session's cluster, each on a port of its own so that a test can choose."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from redis.asyncio import Redis

from app.cli.api_children import api_environment
from infra.local.child import Child, ChildSpec
from infra.local.cluster import LocalCluster
from infra.local.ports import find_free_port
from ranking.keys import BoardKeys
from tests.acceptance.client import Api
from tests.waiting import until

_CODE = Path(__file__).parents[2]


def serve_spec(cluster: LocalCluster, name: str, port: int, **variables: str) -> ChildSpec:
    """How `shardboard serve` runs on `port`, with further variables."""

    async def answers(_pid: int) -> bool:
        try:
            async with httpx.AsyncClient() as client:
                return (await client.get(f"http://127.0.0.1:{port}/health", timeout=5)).status_code == 200
        except httpx.TransportError:
            return False

    return ChildSpec(
        role="api",
        name=name,
        command=[sys.executable, "-m", "app.cli.main", "serve"],
        environment=os.environ
        | api_environment(cluster)
        | {"SHARDBOARD_PORT": str(port), "SHARDBOARD_RELAY_INTERVAL_MS": "50"}
        | variables,
        options={"cwd": _CODE},
        log=cluster.data / "logs" / f"{name}.log",
        ready=answers,
        stop_signals=((signal.SIGTERM, 10.0),),
    )


@pytest.fixture(scope="module")
async def _apis(cluster: LocalCluster) -> AsyncIterator[list[Api]]:
    children, apis = [], []
    for name in ("one", "other"):
        port = find_free_port({cluster.port})
        children.append(Child(serve_spec(cluster, f"api-{name}", port), print, lambda: None))
        apis.append(Api(f"http://127.0.0.1:{port}"))
    for child in children:
        await child.start()
    yield apis
    for api in apis:
        await api.http.aclose()
    for child in children:
        await child.stop()


@pytest.fixture
async def api(clean: LocalCluster, _apis: list[Api]) -> Api:
    """An API process on a cluster without data, whose ranks are whole."""
    async with Redis.from_url(clean.redis_url) as redis:
        # Once more: a relay may have begun to rebuild the ranks from shards that were not empty yet.
        await redis.flushall()

        async def whole() -> bool:
            return bool(await redis.exists(BoardKeys("global").ready))

        await until(whole)
    return _apis[0]


@pytest.fixture
def other_api(api: Api, _apis: list[Api]) -> Api:
    """Another process that serves the same cluster."""
    return _apis[1]
