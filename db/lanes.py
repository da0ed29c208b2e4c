"""A few raw connections for the hot statements.

asyncpg's own pool resets a connection between two users and shields each hand-over with a task, which costs more than a
batch's statement does on the client. The hot statements are single calls in transactions of their own and leave nothing
to reset.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

import asyncpg


class Lanes:
    """Up to `size` connections, opened when needed; the one used last is used next, so that few stay busy.

    Args:
        connect: opens one connection.
        is_leaving: whether an idle connection is to be closed instead of being used again.
        spread: over so many ways in they are spread: so many are opened first, and then used in turn.

    Attributes:
        busy: how many connections are in use.
    """

    def __init__(
        self,
        connect: Callable[[], Awaitable[asyncpg.Connection]],
        size: int,
        *,
        is_leaving: Callable[[asyncpg.Connection], bool],
        spread: int = 1,
    ) -> None:
        self._connect = connect
        self.size = size
        self.busy = 0
        self._free = asyncio.Semaphore(size)
        self._idle: deque[asyncpg.Connection] = deque()
        self._is_leaving = is_leaving
        self._spread = min(spread, size)
        self._closed = False

    async def fetch(self, statement: str, arguments: tuple[object, ...]) -> list[asyncpg.Record]:
        """The rows of one statement.

        Raises:
            asyncpg.PostgresError: the server refused the statement.
            OSError, asyncpg.InterfaceError: the connection broke, or could not be opened.
        """
        async with self._free:
            self.busy += 1
            try:
                return await self._fetch(statement, arguments)
            finally:
                self.busy -= 1

    async def _fetch(self, statement: str, arguments: tuple[object, ...]) -> list[asyncpg.Record]:
        connection = self._take() or await self._connect()
        try:
            rows: list[asyncpg.Record] = await connection.fetch(statement, *arguments)
        except asyncpg.PostgresError:
            self._give_back(connection)
            raise
        except BaseException:
            # Given up in the middle: the next answer on this connection would be the one to this statement.
            connection.terminate()
            raise
        self._give_back(connection)
        return rows

    async def close(self, timeout_s: float) -> None:
        """Close every connection within `timeout_s`; one that is in use closes when its statement ends."""
        self._closed = True
        idle, self._idle = self._idle, deque()
        await asyncio.gather(*(connection.close(timeout=timeout_s) for connection in idle), return_exceptions=True)

    @property
    def is_closed(self) -> bool:
        """Whether it was closed."""
        return self._closed

    @property
    def idle_count(self) -> int:
        """How many connections are open and not in use."""
        return len(self._idle)

    def _give_back(self, connection: asyncpg.Connection) -> None:
        if self._closed:
            connection.terminate()
        else:
            self._idle.append(connection)

    def _take(self) -> asyncpg.Connection | None:
        if self._spread > 1 and len(self._idle) + self.busy <= self._spread:
            return None
        while self._idle:
            connection = self._idle.popleft() if self._spread > 1 else self._idle.pop()
            if self._is_leaving(connection):
                connection.terminate()
            elif not connection.is_closed():
                return connection
        return None
