"""Requests sent as they fall due over connections that are kept open; a part of the generator's process.

Raw protocols: a client library would take more of the processor than the service that is measured.
"""

from __future__ import annotations

import asyncio
import math
import time
from array import array
from collections import deque
from collections.abc import Callable
from typing import cast

from benchmarks.reshard.requests import MakeRequest, is_right, is_whole
from benchmarks.reshard.schedule import Schedule

# The service gives up earlier by itself, and says so.
_ANSWER_S_MAX = 10.0
_REOPEN_S = 0.1
_MESSAGE_BYTES_MAX = 300


class Stream:
    """One kind of request.

    What is due while every connection waits for an answer waits with it, and is sent as soon as one is free; its time
    runs from when it was due.

    Attributes:
        samples: three numbers a request: when it was due, was sent, was answered, by `clock`. One that failed was
            answered at infinity, one that was never sent was sent then, too.
        wrong: how many failed.
        first_wrong: what was said to the first of them.
    """

    def __init__(
        self,
        address: tuple[str, int],
        schedule: Schedule,
        make: MakeRequest,
        connections: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.samples = array("d")
        self.wrong = 0
        self.first_wrong = ""
        self._address = address
        self._schedule = schedule
        self._make = make
        self._count = connections
        self._clock = clock
        self._next = 0
        self._end: int | None = None
        self._connections: set[Connection] = set()
        self._free: deque[Connection] = deque()
        self._opening: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Open the connections.

        Raises:
            OSError: one was refused.
        """
        await asyncio.gather(*(self._open_one() for _ in range(self._count)))

    def send_due(self, now: float) -> None:
        """Send what is due, as far as there are free connections."""
        due = self._schedule.count_due(now) if self._end is None else self._end
        while self._next < due and self._free:
            # The one that was idle longest: none is closed by the server for being idle.
            self._free.popleft().send(self._make(), self._schedule.due_at(self._next), now)
            self._next += 1

    def give_up_late(self, now: float) -> None:
        """Count what has waited for its answer for too long as failed, and its connection as lost."""
        for connection in [each for each in self._connections if each.busy and now > each.sent_at + _ANSWER_S_MAX]:
            connection.abort(f"no answer within {_ANSWER_S_MAX:.0f} s")

    def end(self, now: float) -> None:
        """Nothing falls due any more; what is due by now is still sent and answered."""
        self._end = self._schedule.count_due(now)

    @property
    def is_done(self) -> bool:
        """Whether all that was due until the end was answered."""
        return self._next == self._end and not any(connection.busy for connection in self._connections)

    def close(self) -> None:
        """Close the connections; what waits is counted as failed."""
        for task in self._opening:
            task.cancel()
        for connection in list(self._connections):
            connection.abort("not answered until the end")
        while self._next < (self._end or 0):
            self._fail(self._schedule.due_at(self._next), math.inf, "not sent until the end")
            self._next += 1

    def is_open(self, connection: Connection) -> None:
        """A connection can be used."""
        self._connections.add(connection)
        self._set_free(connection)

    def take(self, connection: Connection, answer: bytes) -> None:
        """A connection has got a whole answer."""
        now = self._clock()
        if is_right(answer):
            self.samples.extend((connection.due_at, connection.sent_at, now))
        else:
            self._fail(connection.due_at, connection.sent_at, answer[:_MESSAGE_BYTES_MAX].decode(errors="replace"))
        self._set_free(connection)
        self.send_due(now)

    def lose(self, connection: Connection, reason: str) -> None:
        """A connection is gone, and another one takes its place."""
        if connection not in self._connections:
            return
        self._connections.remove(connection)
        if connection.busy:
            self._fail(connection.due_at, connection.sent_at, reason)
        else:
            self._free.remove(connection)
        if self._end is None:
            task = asyncio.get_running_loop().create_task(self._reopen_one())
            self._opening.add(task)
            task.add_done_callback(self._opening.discard)

    def _set_free(self, connection: Connection) -> None:
        connection.busy = False
        self._free.append(connection)

    def _fail(self, due_at: float, sent_at: float, message: str) -> None:
        self.samples.extend((due_at, sent_at, math.inf))
        self.wrong += 1
        self.first_wrong = self.first_wrong or message

    async def _open_one(self) -> None:
        await asyncio.get_running_loop().create_connection(lambda: Connection(self), *self._address)

    async def _reopen_one(self) -> None:
        while True:
            try:
                return await self._open_one()
            except OSError:
                await asyncio.sleep(_REOPEN_S)


class Connection(asyncio.Protocol):
    """A connection with at most one request under way."""

    def __init__(self, stream: Stream) -> None:
        self.busy = False
        self.due_at = 0.0
        self.sent_at = 0.0
        self._stream = stream
        self._transport: asyncio.Transport | None = None
        self._rest = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It is open."""
        self._transport = cast(asyncio.Transport, transport)
        self._stream.is_open(self)

    def send(self, request: bytes, due_at: float, now: float) -> None:
        """Send a request that was due then."""
        assert self._transport is not None
        self.busy, self.due_at, self.sent_at = True, due_at, now
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        """A part of an answer, most often all of it."""
        if self._rest:
            data = self._rest + data
        try:
            whole = is_whole(data)
        except ValueError as error:
            self.abort(f"{error}: {data[:_MESSAGE_BYTES_MAX]!r}")
            return
        self._rest = b"" if whole else data
        if whole and self.busy:
            self._stream.take(self, data)

    def connection_lost(self, error: Exception | None) -> None:
        """It is gone."""
        self._stream.lose(self, f"the connection was closed: {error or 'by the service'}")

    def abort(self, reason: str) -> None:
        """Close it at once."""
        self._stream.lose(self, reason)
        if self._transport is not None:
            self._transport.abort()
