"""What the proxy does to connections, each on its own, between a client and a server that echoes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random
from time import monotonic

import pytest

from tests.chaos.faults.proxy import HOST, Proxy, Weather
from tests.waiting import until

# Longer than anything here takes, shorter than a test.
_SILENCE_S = 0.15


class Echo:
    """A server that answers with what it was sent, piece by piece, and knows what it saw."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.ended = 0
        self.broken = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while piece := await reader.read(1_000):
                self.pieces.append(piece)
                writer.write(piece)
                await writer.drain()
            self.ended += 1
        except ConnectionError:
            self.broken += 1
        finally:
            writer.close()


@asynccontextmanager
async def proxied(**options: object) -> AsyncIterator[tuple[Proxy, Echo]]:
    echo = Echo()
    server = await asyncio.start_server(echo.serve, HOST, 0)
    proxy = Proxy((HOST, server.sockets[0].getsockname()[1]), Random(1), **options)  # type: ignore[arg-type]
    await proxy.start()
    try:
        yield proxy, echo
    finally:
        await proxy.close()
        server.close()


@asynccontextmanager
async def client(proxy: Proxy) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection(HOST, proxy.port)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


async def echoed(streams: tuple[asyncio.StreamReader, asyncio.StreamWriter], text: bytes) -> bytes:
    reader, writer = streams
    writer.write(text)
    return await asyncio.wait_for(reader.readexactly(len(text)), 5)


async def is_silent(reader: asyncio.StreamReader) -> bool:
    try:
        await asyncio.wait_for(reader.read(1), _SILENCE_S)
    except TimeoutError:
        return True
    return False


async def test_in_fair_weather_all_passes_ends_included() -> None:
    async with proxied() as (proxy, echo), client(proxy) as streams:
        assert await echoed(streams, b"x" * 300_000) == b"x" * 300_000
        streams[1].write_eof()
        assert await streams[0].read() == b""
        await until(lambda: proxy.open_count == 0)
        assert (echo.ended, echo.broken, proxy.events) == (1, 0, {})


async def test_an_answer_is_lost_after_the_request_was_done_and_the_connection_cut() -> None:
    async with proxied(is_answer=lambda data: data == b"done") as (proxy, echo), client(proxy) as streams:
        await proxy.change(Weather(lost_share=1.0))
        assert await echoed(streams, b"begin") == b"begin"
        streams[1].write(b"done")
        with pytest.raises(ConnectionResetError):
            await streams[0].read(1)
        assert (echo.pieces, proxy.events["lost"]) == ([b"begin", b"done"], 1)


async def test_in_a_silence_nothing_passes_and_nobody_hears_of_an_end() -> None:
    async with proxied() as (proxy, echo), client(proxy) as streams:
        assert await echoed(streams, b"before") == b"before"
        await proxy.change(Weather(silent=True))
        streams[1].write(b"amid")
        streams[1].write_eof()
        assert await is_silent(streams[0])
        assert (echo.pieces, echo.ended) == ([b"before"], 0)
        await proxy.clear()
        # It was only late.
        assert await asyncio.wait_for(streams[0].read(), 5) == b"amid"
        assert echo.ended == 1


async def test_what_a_forgetful_silence_met_is_dead_and_what_comes_after_it_lives() -> None:
    async with proxied() as (proxy, echo), client(proxy) as old:
        assert await echoed(old, b"before") == b"before"
        await proxy.change(Weather(silent=True, forgetful=True))
        async with client(proxy) as amid:
            amid[1].write(b"amid")
            assert await is_silent(amid[0])
            await proxy.clear()
            async with client(proxy) as new:
                assert await echoed(new, b"after") == b"after"
            old[1].write(b"again")
            assert await is_silent(old[0])
            assert await is_silent(amid[0])
        assert echo.pieces == [b"before", b"after"]
        assert proxy.events["swallowed"] >= 2


async def test_resets_reach_both_ends() -> None:
    async with proxied() as (proxy, echo), client(proxy) as streams:
        assert await echoed(streams, b"before") == b"before"
        await proxy.change(Weather(resets=True))
        with pytest.raises(ConnectionResetError):
            await streams[0].read(1)
        await until(lambda: echo.broken == 1)
        async with client(proxy) as new:
            new[1].write(b"amid")
            with pytest.raises(ConnectionResetError):
                await new[0].read(1)
        await proxy.clear()
        async with client(proxy) as new:
            assert await echoed(new, b"after") == b"after"
        assert echo.pieces == [b"before", b"after"]


async def test_nobody_listens_while_it_refuses_and_the_port_stays_its_own() -> None:
    async with proxied() as (proxy, _), client(proxy) as streams:
        assert await echoed(streams, b"before") == b"before"
        port = proxy.port
        await proxy.change(Weather(refuses=True))
        with pytest.raises(ConnectionResetError):
            await streams[0].read(1)
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(HOST, port)
        await proxy.clear()
        async with client(proxy) as new:
            assert await echoed(new, b"after") == b"after"
        assert proxy.port == port


async def test_latency_holds_each_piece_up_and_keeps_the_order() -> None:
    async with proxied() as (proxy, _), client(proxy) as streams:
        await proxy.change(Weather(latency_ms=40, jitter_ms=20))
        began_at = monotonic()
        assert await echoed(streams, b"there and back") == b"there and back"
        # Each way takes 20 ms at least.
        assert monotonic() - began_at >= 0.04
        for number in range(5):
            assert await echoed(streams, b"%d" % number) == b"%d" % number


async def test_slices_are_small_and_nothing_of_them_is_lost() -> None:
    async with proxied() as (proxy, echo), client(proxy) as streams:
        await proxy.change(Weather(slice_bytes_max=7))
        text = bytes(range(256))
        assert await echoed(streams, text) == text
        assert b"".join(echo.pieces) == text
        # Several may arrive together; each was sent on its own, both ways.
        assert proxy.events["slices"] >= 2 * 256 / 7
        assert len(echo.pieces) > 1


async def test_a_rate_is_kept() -> None:
    async with proxied() as (proxy, _), client(proxy) as streams:
        await proxy.change(Weather(bytes_per_s=100_000))
        began_at = monotonic()
        assert await echoed(streams, b"x" * 10_000) == b"x" * 10_000
        assert monotonic() - began_at >= 0.19
