"""What one connection has still to be sent."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Generic, TypeVar

Item = TypeVar("Item")

# What a connection may have waiting before nothing more is read from it: answers to what it sends itself. Of what it
# watches it holds one item each, so that both together are bounded.
_WAITING_MAX = 64


class Outbox(Generic[Item]):
    """Sends items in order, one at a time; who puts one in never waits.

    A task runs only while there is something to send: ten thousand quiet connections cost no task each for it.

    Args:
        send: sends one item; may wait for as long as the client does not read, and raise OSError when it is gone.
    """

    __slots__ = ("_items", "_send", "_sending")

    def __init__(self, send: Callable[[Item], Awaitable[None]]) -> None:
        self._send: Callable[[Item], Awaitable[None]] | None = send
        self._items: list[Item] = []
        self._sending: asyncio.Task[None] | None = None

    def put(self, item: Item) -> None:
        """Send `item` after those that wait; nothing happens once the outbox is closed."""
        if self._send is None:
            return
        self._items.append(item)
        if self._sending is None:
            self._sending = asyncio.get_running_loop().create_task(self._send_all())

    async def room(self) -> None:
        """Wait until few enough items wait."""
        while len(self._items) > _WAITING_MAX and self._sending is not None:
            await asyncio.wait([self._sending])

    async def sent(self) -> None:
        """Wait until all items are sent, or cannot be."""
        while self._sending is not None:
            await asyncio.wait([self._sending])

    def close(self) -> None:
        """Drop what waits and take nothing more."""
        self._items = []
        # Its owner's method: what holds each other is freed only by a full garbage collection, which is rare here.
        self._send = None
        if self._sending is not None:
            self._sending.cancel()

    async def _send_all(self) -> None:
        try:
            with suppress(OSError):
                while (send := self._send) is not None and self._items:
                    items, self._items = self._items, []
                    for item in items:
                        await send(item)
        finally:
            self._sending = None
