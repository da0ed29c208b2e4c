"""Coalescing: what many callers want at once goes out as few calls.

No waiting window: a batch leaves as soon as a slot is free, and what arrives while all slots are busy makes the next
batch. Under light load every caller goes alone and at once; under heavy load batches grow by themselves.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from domain.errors import Unavailable

# How many ticks of the event loop a batch may grow before it is sent.
_TICKS_MAX = 8

Item = TypeVar("Item")
Result = TypeVar("Result")


class Coalescer(Generic[Item, Result]):
    """Groups items and answers each with its own result.

    Args:
        flush: sends a batch and answers one result or error an item, in order; an error that it raises is every item's.
        name: for messages.
        slots: batches under way at once.
        batch_max: items in one batch.
        queue_max: items waiting; one more is refused as Unavailable.
    """

    def __init__(
        self,
        flush: Callable[[list[Item]], Awaitable[Sequence[Result | Exception]]],
        *,
        name: str,
        slots: int,
        batch_max: int,
        queue_max: int,
    ) -> None:
        self._flush = flush
        self._name = name
        self._slots_free = slots
        self._batch_max = batch_max
        self._queue_max = queue_max
        self._waiting: deque[tuple[Item, asyncio.Future[Result]]] = deque()
        self._settling = False
        self._settled_at = 0
        self._ticks = 0
        self._flushes: set[asyncio.Task[None]] = set()
        self._idle = asyncio.Event()
        self._idle.set()

    def put(self, item: Item) -> asyncio.Future[Result]:
        """Queue `item`; the future holds its result.

        Raises:
            Unavailable: the queue is full.
        """
        if len(self._waiting) >= self._queue_max:
            raise Unavailable(f"{self._name} has more work waiting than it can do; try again shortly.")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Result] = loop.create_future()
        self._waiting.append((item, future))
        self._idle.clear()
        self._settle_soon()
        return future

    @property
    def waiting(self) -> int:
        """How many items are queued and not yet under way."""
        return len(self._waiting)

    async def drained(self) -> None:
        """Return once nothing is queued or under way."""
        await self._idle.wait()

    def _settle_soon(self) -> None:
        if self._slots_free and self._waiting and not self._settling:
            self._settling = True
            self._settled_at = 0
            self._ticks = 0
            asyncio.get_running_loop().call_soon(self._settle)

    def _settle(self) -> None:
        """Send what waits once a tick of the loop brings no more of it, or after `_TICKS_MAX` of them.

        A tick takes as long as there is work at hand: some microseconds in an idle process, so nobody waits for
        company that does not come; under load what arrived meanwhile goes along, and batches grow before slots run out.
        """
        waiting = len(self._waiting)
        if self._settled_at < waiting < self._batch_max and self._ticks < _TICKS_MAX:
            self._settled_at = waiting
            self._ticks += 1
            asyncio.get_running_loop().call_soon(self._settle)
            return
        self._settling = False
        self._pump()

    def _pump(self) -> None:
        while self._slots_free and self._waiting:
            # What a caller no longer waits for (its deadline passed in the queue) is not sent at all.
            batch = [
                (item, future)
                for item, future in (self._waiting.popleft() for _ in range(min(len(self._waiting), self._batch_max)))
                if not future.done()
            ]
            if batch:
                self._slots_free -= 1
                task = asyncio.get_running_loop().create_task(self._run(batch))
                self._flushes.add(task)
                task.add_done_callback(self._flushes.discard)
        if not self._flushes and not self._waiting:
            self._idle.set()

    async def _run(self, batch: list[tuple[Item, asyncio.Future[Result]]]) -> None:
        try:
            results = await self._flush([item for item, _ in batch])
            if len(results) != len(batch):
                raise ValueError(f"{self._name}: {len(results)} answers to {len(batch)} items")
        except asyncio.CancelledError:
            for _, future in batch:
                future.cancel()
            raise
        except Exception as error:
            results = [error] * len(batch)
        finally:
            self._slots_free += 1
            self._after_flush()
        for (_, future), result in zip(batch, results, strict=True):
            if future.done():
                continue
            if isinstance(result, Exception):
                future.set_exception(result)
            else:
                future.set_result(result)

    def _after_flush(self) -> None:
        current = asyncio.current_task()
        if current is not None:
            self._flushes.discard(current)
        if not self._flushes and not self._waiting:
            self._idle.set()
        self._settle_soon()
