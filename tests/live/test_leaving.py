"""A thousand watchers that come and go leave nothing behind; a process that ends sends its watchers elsewhere."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from urllib.parse import urlsplit

import psutil
import pytest
from redis.asyncio import Redis

from infra.local.cluster import LocalCluster
from infra.local.processes import started_at
from ranking.keys import CHANGES_CHANNEL
from tests.acceptance.client import Api
from tests.apis import running_apis, url_of
from tests.live.crowd import Connection, drop, open_sockets, open_streams
from tests.live.inprocess import Service, served_here
from tests.live.sockets import TOP, ready
from tests.live.streams import posted
from tests.waiting import until

Open = Callable[[str, int], Awaitable[list[Connection]]]

WATCHERS = 1_000
# Two rounds of 1,000: had each of them left a kilobyte, it would be more.
GROWTH_BYTES_MAX = 2_000_000
STOP_SECONDS_MAX = 2.0


def tasks_by_name() -> Counter[str]:
    """What runs in this loop, by the name of its code."""
    coroutines = (task.get_coro() for task in asyncio.all_tasks())
    return Counter(getattr(each, "__qualname__", "") for each in coroutines)


async def subscriptions_of(cluster: LocalCluster) -> tuple[int, list[str]]:
    """How many clients of Redis listen for changes of boards; to how many channels each listens that does at all."""
    async with Redis.from_url(cluster.redis_url) as redis:
        ((_, listening),) = await redis.pubsub_numsub(CHANGES_CHANNEL)
        return listening, [client["sub"] for client in await redis.client_list() if client["sub"] != "0"]


@pytest.mark.parametrize("open_many", [open_sockets, open_streams])
async def test_a_thousand_that_left_are_forgotten(clean: LocalCluster, open_many: Open) -> None:
    async with served_here(clean) as service:
        # What the service opens for the first watchers, and keeps, is there from here on.
        await come_and_go(service, open_many, 50)
        tasks, objects, redis = tasks_by_name(), counted_objects(), await subscriptions_of(clean)
        await come_and_go(service, open_many, WATCHERS)
        await until(lambda: not tasks_by_name() - tasks)
        assert await subscriptions_of(clean) == redis
        # Less than one object for each that came.
        assert counted_objects() - objects < WATCHERS


def counted_objects() -> int:
    """How many objects that hold others are alive."""
    gc.collect()
    return len(gc.get_objects())


async def come_and_go(service: Service, open_many: Open, count: int) -> None:
    connections = await open_many(service.url, count)
    assert (service.connections, service.groups) == (count, 1)
    await drop(connections)
    await until(lambda: (service.connections, service.groups) == (0, 0))
    await until(lambda: not service.server.server_state.connections)


@pytest.mark.parametrize("open_many", [open_sockets, open_streams])
async def test_their_memory_is_used_again(served: Api, pid: int, open_many: Open) -> None:
    process = psutil.Process(pid)

    port = urlsplit(served.url).port

    def connected() -> int:
        return sum(each.laddr.port == port and bool(each.raddr) for each in process.net_connections("tcp"))

    quiet = connected()
    used = []
    for _ in range(4):
        connections = await open_many(served.url, WATCHERS)
        await drop(connections)
        await until(lambda: connected() <= quiet)
        used.append(process.memory_info().rss)
    # The first rounds make room that the later ones use again.
    assert used[3] - used[1] < GROWTH_BYTES_MAX, used


async def test_a_process_that_ends_closes_sockets_and_streams_at_once(clean: LocalCluster) -> None:
    async with running_apis(clean, ("live-ending",)) as (child,), AsyncExitStack() as stack:
        url, pid = url_of(child), child.pid
        watching = await stack.enter_async_context(ready(url))
        await watching.subscribe("1", TOP)
        await watching.top("1")
        quiet = await stack.enter_async_context(ready(url))
        stream = await stack.enter_async_context(posted(url, TOP))
        await stream.top()
        crowd = await open_sockets(url, 200) + await open_streams(url, 200)
        os.kill(pid, signal.SIGTERM)
        assert (await watching.closed())[0] == 1012
        assert (await quiet.closed())[0] == 1012
        # The stream ends as a whole response and without `complete`, so that clients come back.
        assert await stream.event() is None
        for reader, _ in crowd:
            async with asyncio.timeout(STOP_SECONDS_MAX):
                await reader.read()
        await until(lambda: started_at(pid) is None, STOP_SECONDS_MAX)
        await drop(crowd)
        said = child.spec.log.read_text()
    assert "Traceback" not in said
    assert " ERROR " not in said
