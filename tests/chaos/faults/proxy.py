"""A TCP proxy that stands between the service and one of its parts, and does to the traffic what networks do."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from random import Random

HOST = "127.0.0.1"
_CHUNK_BYTES = 65_536
_BACKLOG = 512
# On, and for no time: what is closed says RST and forgets what it had still to send.
_NO_LINGER = struct.pack("ii", 1, 0)


@dataclass(frozen=True, slots=True)
class Weather:
    """What happens to all that passes; nothing by default.

    latency_ms, jitter_ms: how long each piece is held up on its way, and by how much that differs.
    slice_bytes_max: it arrives in pieces of 1 to so many bytes; 0 for as it comes.
    bytes_per_s: how fast it may be, each direction of each connection for itself; 0 for no limit.
    lost_share: of the answers, so many are swallowed after the other end did what was asked, and the connection is cut.
    silent: nothing gets through, not even that an end has closed, and nobody is told.
    forgetful: what a silence met never comes back to life; otherwise it goes on where it was.
    resets: every connection is cut with RST, those that come too.
    refuses: nobody listens any more, and what was open is cut.
    """

    latency_ms: float = 0.0
    jitter_ms: float = 0.0
    slice_bytes_max: int = 0
    bytes_per_s: float = 0.0
    lost_share: float = 0.0
    silent: bool = False
    forgetful: bool = False
    resets: bool = False
    refuses: bool = False


FAIR = Weather()


class Proxy:
    """Passes connections on to `upstream`, a host and a port, as the weather lets it.

    Args:
        is_answer: whether bytes from upstream say that something was done, for `Weather.lost_share`.

    port: where it listens, the same for ever.
    events: how often what was done: slices, lost, resets, swallowed, refusals.
    """

    def __init__(
        self, upstream: tuple[str, int], random: Random, is_answer: Callable[[bytes], bool] = lambda data: True
    ) -> None:
        self.upstream = upstream
        self.weather = FAIR
        self.events: Counter[str] = Counter()
        self.port = 0
        self._random = random
        self._is_answer = is_answer
        self._server: asyncio.Server | None = None
        # Holds the port while nobody listens on it.
        self._bound: socket.socket | None = None
        self._fair = asyncio.Event()
        self._fair.set()
        self._links: set[_Link] = set()

    async def start(self) -> None:
        """Listen on a free port."""
        self._bound = _bind(0)
        self.port = self._bound.getsockname()[1]
        await self._listen()

    async def close(self) -> None:
        """Cut everything and end."""
        if self._server is not None:
            self._server.close()
        if self._bound is not None:
            self._bound.close()
        for link in list(self._links):
            link.cut()
        await asyncio.gather(*(link.task for link in self._links if link.task), return_exceptions=True)

    @property
    def open_count(self) -> int:
        """How many connections there are."""
        return len(self._links)

    async def change(self, weather: Weather) -> None:
        """Let the weather be another one, for what is open, too."""
        before, self.weather = self.weather, weather
        if weather.silent:
            self._fair.clear()
            for link in self._links:
                link.is_dead |= weather.forgetful
        else:
            self._fair.set()
        if before.silent and before.forgetful and not weather.silent:
            # The far end finds out at last, as by a keep-alive probe; the near end has to find out by itself.
            for link in list(self._links):
                link.forget()
        if weather.resets or weather.refuses:
            for link in list(self._links):
                self.events["resets"] += 1
                link.cut()
        if weather.refuses and self._server is not None:
            self._server.close()
            self._server = None
            self._bound = _bind(self.port)
            self.events["refusals"] += 1
        elif not weather.refuses and self._server is None:
            await self._listen()

    async def clear(self) -> None:
        """Let everything pass again."""
        await self.change(FAIR)

    async def _listen(self) -> None:
        assert self._bound is not None
        bound, self._bound = self._bound, None
        self._server = await asyncio.start_server(self._accept, sock=bound, backlog=_BACKLOG)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        link = _Link(self, reader, writer)
        link.task = asyncio.current_task()
        self._links.add(link)
        try:
            # Nobody waits for this task: being cut is its usual end.
            with suppress(asyncio.CancelledError):
                await link.run()
        finally:
            self._links.discard(link)
            link.cut()

    async def pass_on(self, link: _Link, data: bytes, writer: asyncio.StreamWriter, *, is_answer: bool) -> bool:
        """Send a piece as the weather lets it; False where the connection is cut instead."""
        await self._silence(link)
        weather = self.weather
        if weather.resets:
            self.events["resets"] += 1
            return False
        if is_answer and weather.lost_share and self._is_answer(data) and self._random.random() < weather.lost_share:
            self.events["lost"] += 1
            return False
        if weather.latency_ms:
            jitter_ms = self._random.uniform(-weather.jitter_ms, weather.jitter_ms)
            await asyncio.sleep(max(0.0, weather.latency_ms + jitter_ms) / 1000)
        if weather.bytes_per_s:
            await asyncio.sleep(len(data) / weather.bytes_per_s)
        if writer.is_closing():
            return False
        if weather.slice_bytes_max:
            await self._slice(data, writer, weather.slice_bytes_max)
        else:
            writer.write(data)
        await writer.drain()
        return True

    async def end_of_stream(self, link: _Link, writer: asyncio.StreamWriter) -> None:
        """Tell one end that the other has closed, as soon as anything gets through."""
        await self._silence(link)
        if writer.can_write_eof():
            writer.write_eof()

    async def _silence(self, link: _Link) -> None:
        if link.is_dead or not self._fair.is_set():
            self.events["swallowed"] += 1
            # A connection that comes in a forgetful silence is as dead as those that it met.
            link.is_dead |= self.weather.silent and self.weather.forgetful
            await (link.never.wait() if link.is_dead else self._fair.wait())

    async def _slice(self, data: bytes, writer: asyncio.StreamWriter, bytes_max: int) -> None:
        at = 0
        while at < len(data):
            end = at + self._random.randint(1, bytes_max)
            if writer.is_closing():
                raise ConnectionResetError
            writer.write(data[at:end])
            self.events["slices"] += 1
            at = end
            # Written in another turn of the loop, it leaves as a packet of its own.
            await asyncio.sleep(0)


class _Link:
    """One connection with its two halves."""

    def __init__(self, proxy: Proxy, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._proxy = proxy
        self._near = (reader, writer)
        self._far: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self.task: asyncio.Task[None] | None = None
        self.is_dead = False
        self.never = asyncio.Event()

    async def run(self) -> None:
        """Pass on both ways until both have ended, or one is cut."""
        with suppress(OSError):
            self._far = await asyncio.open_connection(*self._proxy.upstream)
            for _, writer in (self._near, self._far):
                writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            pumps = [
                asyncio.create_task(self._pump(self._near[0], self._far[1], is_answer=False)),
                asyncio.create_task(self._pump(self._far[0], self._near[1], is_answer=True)),
            ]
            try:
                await asyncio.gather(*pumps)
            finally:
                for pump in pumps:
                    pump.cancel()

    def cut(self) -> None:
        """Reset both halves."""
        _reset(self._near[1])
        self.forget()
        if self.task is not None and self.task is not asyncio.current_task():
            self.task.cancel()

    def forget(self) -> None:
        """Reset the far half alone: the near one stays open and hears nothing any more."""
        if self._far is not None:
            _reset(self._far[1])

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, is_answer: bool) -> None:
        while True:
            try:
                data = await reader.read(_CHUNK_BYTES)
            except OSError:
                if not self.is_dead:
                    raise
                data = b""
            if not data:
                return await self._proxy.end_of_stream(self, writer)
            if not await self._proxy.pass_on(self, data, writer, is_answer=is_answer):
                raise ConnectionResetError


def _bind(port: int) -> socket.socket:
    bound = socket.socket()
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.bind((HOST, port))
    bound.setblocking(False)
    return bound


def _reset(writer: asyncio.StreamWriter) -> None:
    endpoint = writer.get_extra_info("socket")
    with suppress(OSError):
        endpoint.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
    writer.transport.abort()
