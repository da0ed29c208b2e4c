"""Clients that read slowly, or not at all, and those beside them."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from infra.local.cluster import LocalCluster
from tests.acceptance.client import Api
from tests.live.inprocess import Service, served_here
from tests.live.sockets import Socket, ready
from tests.waiting import until

PLAYERS = 100
# 100 names of 100 letters, 15 times: some 700 KB a message.
_ENTRIES = " ".join(f"e{n}: entries {{ username totalScore }}" for n in range(15))
LARGE = f"subscription {{ topChanged(first: {PLAYERS}) {{ sequence {_ENTRIES} }} }}"
SMALL = "subscription { topChanged(first: 1) { sequence entries { totalScore } } }"


@asynccontextmanager
async def small_buffered(url: str) -> AsyncIterator[Socket]:
    """A socket of a client that takes little before it reads."""
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    raw.setblocking(False)
    address = url.removeprefix("http://").split(":")
    await asyncio.get_running_loop().sock_connect(raw, (address[0], int(address[1])))
    async with ready(url, sock=raw, max_queue=1, max_size=4_000_000) as opened:
        yield opened


async def fill(service: Service) -> Api:
    api = Api(service.url, service.server_key)
    await api.submit_many(
        [{"userId": str(n), "username": f"{n:03}{'é' * 97}", "score": 1_000} for n in range(1, PLAYERS + 1)]
    )
    return api


async def test_who_reads_again_gets_the_newest_and_nobody_waits(clean: LocalCluster) -> None:
    changes = 40
    async with served_here(clean) as service, small_buffered(service.url) as slow, ready(service.url) as quick:
        api = await fill(service)
        await slow.subscribe("1", LARGE)
        await quick.subscribe("1", SMALL)
        first = (await quick.top("1"))["sequence"]
        seen = []
        for number in range(1, changes + 1):
            await api.submit(userId="1", username="1", score=1)
            # Nobody reads from `slow`; whoever else watches is told at once.
            async with asyncio.timeout(1):
                seen.append(await quick.top("1"))
            assert seen[-1]["entries"] == [{"totalScore": 1_000 + number}]
        shown = [await slow.top("1")]
        while shown[-1]["e14"][0]["totalScore"] != 1_000 + changes:
            shown.append(await slow.top("1"))
        sequences = [change["sequence"] for change in shown]
        assert sequences == sorted(set(sequences))
        assert sequences[0] == first
        # What fitted into the buffers, then the newest: most changes it never saw.
        assert len(shown) < changes / 2
        # From now on it is told like anybody else.
        await api.submit(userId="1", username="1", score=1)
        assert (await slow.top("1"))["e0"][0]["totalScore"] == 1_001 + changes
        await api.http.aclose()


async def test_who_never_reads_again_is_given_up(clean: LocalCluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.server._UNREAD_S_MAX", 2.0)
    async with served_here(clean) as service, small_buffered(service.url) as stuck:
        api = await fill(service)
        await stuck.subscribe("1", LARGE)

        async def is_stuck() -> bool:
            await api.submit(userId="1", username="1", score=1)
            return any(
                connection.transport.get_write_buffer_size() > 0
                for connection in service.server.server_state.connections
            )

        await until(is_stuck)
        await until(lambda: (service.connections, service.groups) == (0, 0))
        # What is left is the connection that submits.
        assert len(service.server.server_state.connections) == 1
        await api.http.aclose()
