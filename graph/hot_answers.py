"""The answers asked for again and again, a board's top, kept as bytes until the board changes.

A key is the request as it came, so that a hit reads no JSON. An entry is good while the board's version is the one
read before its data was: a version grows before the write that changed the board is answered, so who reads where they
wrote reads what they wrote.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from time import monotonic

ENTRIES_MAX = 1_000
BYTES_MAX = 16_000_000
AGE_MAX_S = 5.0
"""How long an entry lives if news of a change were lost."""

Render = Callable[[bool], bytes]
"""Makes the body of an answer; the argument says whether it comes from the cache."""


@dataclass(slots=True)
class _Entry:
    board: str
    version: int
    made_at_s: float
    render: Render
    size: int
    body: bytes | None = None


@dataclass(frozen=True, slots=True)
class _Flight:
    """An answer on its way, and the version of the board that it will hold or a newer one."""

    version: int
    body: asyncio.Future[bytes]


class HotAnswers:
    """The kept answers of one process; bounded in number and size, the least used go first."""

    def __init__(self, board_version: Callable[[str], int]) -> None:
        self._board_version = board_version
        self._entries: OrderedDict[bytes, _Entry] = OrderedDict()
        self._flights: dict[bytes, _Flight] = {}
        self._size = 0

    def find(self, key: bytes) -> bytes | None:
        """The kept answer to the request `key`, if it still holds."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        if entry.version != self._board_version(entry.board) or monotonic() - entry.made_at_s > AGE_MAX_S:
            self._drop(key)
            return None
        self._entries.move_to_end(key)
        if entry.body is None:
            entry.body = entry.render(True)
        return entry.body

    async def answer(self, key: bytes, board: str, make: Callable[[], Awaitable[Render | bytes]]) -> bytes:
        """The answer to the request `key`, made once for all who ask for it at the same time.

        Args:
            board: the board that it shows.
            make: reads the data; returns what makes the answer, or an answer that is not to be kept.
        """
        version = self._board_version(board)
        flight = self._flights.get(key)
        if flight is not None and flight.version == version:
            # `wait` leaves the future alone when it is cancelled: who gives up must not end it for the others.
            await asyncio.wait([flight.body])
            if not flight.body.cancelled():
                return flight.body.result()
        flight = self._flights[key] = _Flight(version, asyncio.get_running_loop().create_future())
        try:
            made = await make()
            body = made if isinstance(made, bytes) else made(False)
            flight.body.set_result(body)
        finally:
            if not flight.body.done():
                flight.body.cancel()
            if self._flights.get(key) is flight:
                del self._flights[key]
        if not isinstance(made, bytes):
            self._keep(key, _Entry(board, version, monotonic(), made, len(key) + 2 * len(body)))
        return body

    def _keep(self, key: bytes, entry: _Entry) -> None:
        self._drop(key)
        self._entries[key] = entry
        self._size += entry.size
        while len(self._entries) > ENTRIES_MAX or self._size > BYTES_MAX:
            self._drop(next(iter(self._entries)))

    def _drop(self, key: bytes) -> None:
        entry = self._entries.pop(key, None)
        if entry is not None:
            self._size -= entry.size
