"""The answers asked for again and again, a board's top, kept as bytes until the board changes.

A key is the request as it came, so that a hit reads no JSON. An entry is good while the board's version is the one
read before its data was: a version grows before the write that changed the board is answered, so who reads where they
wrote reads what they wrote.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sized
from dataclasses import dataclass
from time import monotonic
from typing import Generic, TypeVar

from domain.metrics.catalogue import ANSWER_CACHE
from domain.requests import current_request

ENTRIES_MAX = 1_000
BYTES_MAX = 16_000_000
AGE_MAX_S = 5.0
"""How long an entry lives if news of a change were lost."""

_HITS, _MISSES = ANSWER_CACHE.of("hit"), ANSWER_CACHE.of("miss")

Answer = TypeVar("Answer", bound=Sized)
"""The bytes of an answer, or these with more about them; its length is that of the bytes."""

Render = Callable[[bool], Answer]
"""Makes an answer; the argument says whether it comes from the cache."""


@dataclass(slots=True)
class _Entry(Generic[Answer]):
    board: str
    version: int
    made_at_s: float
    render: Render[Answer]
    size: int
    answer: Answer | None = None


@dataclass(frozen=True, slots=True)
class _Flight(Generic[Answer]):
    """An answer on its way, and the version of the board that it will hold or a newer one."""

    version: int
    answer: asyncio.Future[Answer]


class HotAnswers(Generic[Answer]):
    """The kept answers of one process; bounded in number and size, the least used go first."""

    def __init__(self, board_version: Callable[[str], int]) -> None:
        self._board_version = board_version
        self._entries: OrderedDict[bytes, _Entry[Answer]] = OrderedDict()
        self._flights: dict[bytes, _Flight[Answer]] = {}
        self._size = 0

    def find(self, key: bytes) -> Answer | None:
        """The kept answer to the request `key`, if it still holds."""
        entry = self._entries.get(key)
        if entry is None:
            return None
        if entry.version != self._board_version(entry.board) or monotonic() - entry.made_at_s > AGE_MAX_S:
            self._drop(key)
            return None
        self._entries.move_to_end(key)
        if entry.answer is None:
            entry.answer = entry.render(True)
        _note_hit()
        return entry.answer

    async def answer(self, key: bytes, board: str, make: Callable[[], Awaitable[Render[Answer] | Answer]]) -> Answer:
        """The answer to the request `key`: a kept one that holds, or one made for all who ask at the same time.

        Args:
            board: the board that it shows.
            make: reads the data; returns what makes the answer, or an answer that is not to be kept.
        """
        kept = self.find(key)
        if kept is not None:
            return kept
        version = self._board_version(board)
        flight = self._flights.get(key)
        if flight is not None and flight.version == version:
            # `wait` leaves the future alone when it is cancelled: who gives up must not end it for the others.
            await asyncio.wait([flight.answer])
            if not flight.answer.cancelled():
                _note_hit()
                return flight.answer.result()
        flight = self._flights[key] = _Flight(version, asyncio.get_running_loop().create_future())
        _MISSES.add()
        if (request := current_request()) is not None:
            request.cache_hit = False
        try:
            made = await make()
            answer = made(False) if callable(made) else made
            flight.answer.set_result(answer)
        finally:
            if not flight.answer.done():
                flight.answer.cancel()
            if self._flights.get(key) is flight:
                del self._flights[key]
        if callable(made):
            self._keep(key, _Entry(board, version, monotonic(), made, len(key) + 2 * len(answer)))
        return answer

    def _keep(self, key: bytes, entry: _Entry[Answer]) -> None:
        self._drop(key)
        self._entries[key] = entry
        self._size += entry.size
        while len(self._entries) > ENTRIES_MAX or self._size > BYTES_MAX:
            self._drop(next(iter(self._entries)))

    def _drop(self, key: bytes) -> None:
        entry = self._entries.pop(key, None)
        if entry is not None:
            self._size -= entry.size


def _note_hit() -> None:
    _HITS.add()
    if (request := current_request()) is not None:
        request.cache_hit = True
