"""One who watches the top of a board: an iterator that holds the newest state and nothing older. No I/O."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from domain.errors import Unavailable
from domain.standing import Top


class Watcher(AsyncIterator[Top]):
    """Gives each state of the top that differs from the one given before, or the newest where several came meanwhile.

    For one consumer. The sequence of what it gives strictly grows.

    first: how many standings it shows.
    since: the version of the board (see ranking/signals.py) that its first state has to be of, or of a newer one.
    """

    def __init__(self, first: int, since: int) -> None:
        self.first = first
        self.since = since
        self._shown: Top | None = None
        self._next: Top | None = None
        self._error: str | None = None
        self._ended = False
        self._news = asyncio.Event()

    @property
    def has_state(self) -> bool:
        """Whether it was given any state yet."""
        return self._shown is not None or self._next is not None

    def offer(self, top: Top) -> None:
        """Show this state next, whatever waited to be shown, unless it looks as the one shown last."""
        shown = self._shown
        if shown is not None and (top.entries == shown.entries or top.sequence <= shown.sequence):
            # It may have looked otherwise in between; who was too slow to see that has nothing to be told.
            self._next = None
            self._news.clear()
            return
        self._next = top
        self._news.set()

    def fail(self, message: str) -> None:
        """There is no state to show: the consumer gets `Unavailable`."""
        self._error = message
        self._news.set()

    def end(self) -> None:
        """Let the iteration end."""
        self._ended = True
        self._news.set()

    async def __anext__(self) -> Top:
        """The next state.

        Raises:
            Unavailable: there is none, and none was given before.
        """
        await self._news.wait()
        if self._ended:
            raise StopAsyncIteration
        if self._error is not None:
            self._ended = True
            raise Unavailable(self._error)
        top = self._next
        if top is None:
            raise RuntimeError("a watcher was woken without news")
        self._shown, self._next = top, None
        self._news.clear()
        return top
