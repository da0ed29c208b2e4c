"""What one client, and all of them together, may take: each bound has its close code."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest
from websockets.exceptions import ConnectionClosed

from graph.live import socket as served_socket
from infra.local.cluster import LocalCluster
from tests.acceptance.client import Api
from tests.live.inprocess import served_here
from tests.live.sockets import INIT, TOP, opened, ready
from tests.waiting import until

NO_ROOM = (1013, "Too many connections are open; try again later.")


async def test_who_does_not_say_connection_init_is_closed(clean: LocalCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(served_socket, "INIT_S_MAX", 0.2)
    async with served_here(clean) as service, opened(service.url) as silent, opened(service.url) as pinging:
        await pinging.send({"type": "ping"})
        assert await silent.closed() == (4408, "Connection initialisation timeout.")
        assert await pinging.closed() == (4408, "Connection initialisation timeout.")
        await until(lambda: service.connections == 0)


async def test_a_socket_without_an_operation_is_closed(clean: LocalCluster) -> None:
    idle_s = 0.4
    async with served_here(clean, socket_idle_seconds=idle_s) as service:
        loop = asyncio.get_running_loop()
        async with ready(service.url) as idle, ready(service.url) as watching, ready(service.url) as asking:
            await watching.subscribe("1", TOP)
            await watching.top("1")
            # Each answer begins the time anew, a refusal too.
            while idle.connection.close_code is None:
                await asking.run("1", "{ __typename }")
                await asking.refused("2", "{ nothing }")
            asked = loop.time()
            assert await idle.closed() == (4410, "Idle: no operation in 0.4 s.")
            assert (await asking.closed())[0] == 4410
            assert loop.time() - asked >= idle_s * 0.9
            # One that watches is not idle, however long nothing happens, until it watches no more.
            assert await asyncio.wait_for(watching.connection.ping(), 5) is not None
            assert service.connections == 1
            await watching.complete("1")
            assert (await watching.closed())[0] == 4410
        await until(lambda: (service.connections, service.groups) == (0, 0))


async def test_a_socket_has_a_hundred_operations_at_most(served: Api) -> None:
    async with ready(served.url) as socket:
        for number in range(100):
            await socket.subscribe(str(number), TOP)
            await socket.top(str(number))
        await socket.complete("0")
        await socket.subscribe("100", TOP)
        await socket.top("100")
        await socket.subscribe("101", TOP)
        assert await socket.closed() == (1008, "A socket may have 100 operations at once.")


async def test_a_process_has_as_many_connections_as_its_setting_says(clean: LocalCluster) -> None:
    async with served_here(clean, connections_max=2) as service:
        async with ready(service.url) as one, opened(service.url):
            async with opened(service.url) as third:
                assert await third.closed() == NO_ROOM
            async with opened(service.url) as third:
                # What it says before it reads the close frame does no harm.
                with suppress(ConnectionClosed):
                    await third.send(INIT)
                assert await third.closed() == NO_ROOM
            await one.subscribe("1", TOP)
            assert (await one.top("1"))["entries"] == []
        await until(lambda: service.connections == 0)
        async with ready(service.url) as again:
            assert await again.run("1", "{ __typename }") == {"data": {"__typename": "Query"}}


async def test_another_subprotocol_takes_no_room(clean: LocalCluster) -> None:
    async with served_here(clean, connections_max=1) as service, opened(service.url, "graphql-ws") as other:
        assert (await other.closed())[0] == 4406
        async with ready(service.url):
            pass


async def test_a_flood_of_pings_from_who_does_not_read_is_held_back(clean: LocalCluster) -> None:
    """Answers to what a client sends itself wait in its own send buffer, not in the service."""
    async with served_here(clean) as service, ready(service.url, max_queue=1) as flooding, ready(service.url) as other:
        payload = '{"type":"ping","payload":{"a":"' + "x" * 50_000 + '"}}'
        sent = 0
        with suppress(TimeoutError):
            while sent < 10_000:
                await asyncio.wait_for(flooding.send(payload), 0.5)
                sent += 1
        # 64 wait in the service, and the rest in buffers of the sockets.
        assert sent < 1_000
        assert await other.run("1", "{ __typename }") == {"data": {"__typename": "Query"}}
        for _ in range(sent):
            assert (await flooding.receive())["type"] == "pong"
