"""API processes on the session's cluster, each on a port of its own so that a test can choose."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
from redis.asyncio import Redis

from app.cli.api_children import api_environment
from infra.local.child import Child, ChildSpec
from infra.local.cluster import LocalCluster
from infra.local.ports import find_free_port
from ranking.keys import BoardKeys
from tests.acceptance.client import Api
from tests.waiting import until

_CODE = Path(__file__).parents[1]


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
        | {
            "SHARDBOARD_PORT": str(port),
            "SHARDBOARD_RELAY_INTERVAL_MS": "50",
            # Tests of other things read as much as they like; tests of limits set their own.
            "SHARDBOARD_ADDRESS_READS_PER_MINUTE": "0",
        }
        | variables,
        options={"cwd": _CODE},
        log=cluster.data / "logs" / f"{name}.log",
        ready=answers,
        stop_signals=((signal.SIGTERM, 10.0),),
    )


@asynccontextmanager
async def running_apis(cluster: LocalCluster, names: Sequence[str], **variables: str) -> AsyncIterator[list[Child]]:
    """`shardboard serve` once for each name, all ready when the block begins and ended when it is left."""
    taken = {cluster.port}
    children = []
    for name in names:
        port = find_free_port(taken)
        taken.add(port)
        children.append(Child(serve_spec(cluster, f"api-{name}", port, **variables), print, lambda: None))
    try:
        for child in children:
            await child.start()
        yield children
    finally:
        for child in children:
            await child.stop()


def url_of(child: Child) -> str:
    """Where an API process of these is reached."""
    assert child.spec.environment is not None
    return f"http://127.0.0.1:{child.spec.environment['SHARDBOARD_PORT']}"


def key_of(child: Child) -> str:
    """The server key of an API process of these."""
    assert child.spec.environment is not None
    return child.spec.environment["SHARDBOARD_SERVER_KEY"]


@asynccontextmanager
async def clients_of(children: Sequence[Child]) -> AsyncIterator[list[Api]]:
    """A client of each process, with its server key."""
    apis = [Api(url_of(child), key_of(child)) for child in children]
    try:
        yield apis
    finally:
        for api in apis:
            await api.http.aclose()


async def until_ranks_are_whole(cluster: LocalCluster) -> None:
    """Wait until the ranks of a cluster that was just emptied are those of the empty board."""
    async with Redis.from_url(cluster.redis_url) as redis:
        # Once more: a relay may have begun to rebuild the ranks from shards that were not empty yet.
        await redis.flushall()

        async def whole() -> bool:
            return bool(await redis.exists(BoardKeys("global").ready))

        await until(whole)
