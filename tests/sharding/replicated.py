"""What tests do to the replicas of a cluster, and what a process then thinks of them."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any

import asyncpg
import psutil

from infra.local.child import Child
from infra.local.cluster import LocalCluster
from service.shard_workers import ShardWorkers
from sharding.replica import ReplicaState
from sharding.router import Router
from tests.sharding.routers import opened_router
from tests.waiting import until


@asynccontextmanager
async def looking_router(cluster: LocalCluster, **settings: Any) -> AsyncIterator[Router]:
    """A router that looks at its replicas, all of which it uses."""
    async with opened_router(cluster, **settings) as router:
        lookers = ShardWorkers(router, lambda shard: shard.replicas.keep_looking())
        lookers.start()
        try:
            await until(lambda: all(state.is_used for state in states_of(router)))
            yield router
        finally:
            await lookers.close()


def states_of(router: Router) -> list[ReplicaState]:
    """What the process knows of each replica, shard by shard."""
    return [state for shard in router.shards.values() for state in shard.replicas.states()]


@asynccontextmanager
async def on_replica(cluster: LocalCluster, number: int) -> AsyncIterator[asyncpg.Connection]:
    """A superuser's connection to the replica of a shard, counted from 1."""
    connection = await asyncpg.connect(
        host="127.0.0.1",
        port=cluster.identity.shards[number - 1].replicas[0],
        user="postgres",
        password=cluster.identity.superuser_password,
        database="shardboard",
        timeout=5,
    )
    try:
        yield connection
    finally:
        await connection.close(timeout=5)


@asynccontextmanager
async def standing_still(cluster: LocalCluster, numbers: Sequence[int] = (1, 2)) -> AsyncIterator[None]:
    """The replicas of these shards replay nothing more until the end of the block."""
    for number in numbers:
        async with on_replica(cluster, number) as connection:
            await connection.execute("select pg_wal_replay_pause()")
            await until(
                lambda c=connection: _is(c, "select pg_get_wal_replay_pause_state() = 'paused'")  # type: ignore[misc]
            )
    try:
        yield
    finally:
        for number in numbers:
            await until(lambda n=number: _resumed(cluster, n))  # type: ignore[misc]


@contextmanager
def hanging(child: Child) -> Iterator[None]:
    """A server with all its processes does nothing until the end of the block."""
    postmaster = psutil.Process(child.pid)
    processes = [postmaster, *postmaster.children(recursive=True)]
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGCONT)


async def _resumed(cluster: LocalCluster, number: int) -> bool:
    # What waits to be replayed may take away rows that this very statement sees, which ends it.
    with suppress(asyncpg.SerializationError):
        async with on_replica(cluster, number) as connection:
            await connection.execute("select pg_wal_replay_resume()")
            return True
    return False


async def _is(connection: asyncpg.Connection, question: str) -> bool:
    return bool(await connection.fetchval(question))
