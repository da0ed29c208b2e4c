"""Coalescing: what many callers want at once goes out as few calls.

No waiting window: a batch leaves as soon as a slot is free, and what arrives while all slots are busy makes the next
batch. Under light load every caller goes alone and at once; under heavy load batches grow by themselves.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from time import monotonic
from typing import Generic, TypeVar

from msgspec import Struct

from domain import tracing
from domain.errors import Unavailable
from domain.metrics.catalogue import REFUSALS
from domain.resilience.backlog import Backlog
from domain.resilience.deadline import detached, get_due_at, set_due_at
from domain.resilience.limits import RETRY_SHED_S
from domain.tracing import NOTHING, Attributes, Tracer, Work

Item = TypeVar("Item")
Result = TypeVar("Result")


class Gate:
    """How many flushes of several coalescers run at once.

    While few run, more waits behind them and the next batches are larger: on busy cores many small statements side by
    side cost several times as much as a few large ones (docs/adr/0007). A flush that takes longer than `lease_s` waits
    for something else than a core and is counted no more, so a part that hangs keeps nobody else from working.
    """

    def __init__(self, width: int, lease_s: float) -> None:
        self._width = width
        self._free = width
        self._lease_s = lease_s
        self._waiting: deque[Callable[[], None]] = deque()

    def set_width(self, width: int) -> None:
        """Let so many flushes run at once from now on; those that are under way stay."""
        self._free += width - self._width
        self._width = width
        self._let_in()

    def enter(self, again: Callable[[], None]) -> Callable[[], None] | None:
        """What ends the stay; None where the gate is full: `again` is called when it is worth another try."""
        if self._free <= 0:
            if again not in self._waiting:
                self._waiting.append(again)
            return None
        self._free -= 1
        timer: asyncio.TimerHandle | None = None

        def leave() -> None:
            nonlocal timer
            if timer is not None:
                timer.cancel()
                timer = None
                self._free += 1
                self._let_in()

        timer = asyncio.get_running_loop().call_later(self._lease_s, leave)
        return leave

    def _let_in(self) -> None:
        while self._free > 0 and self._waiting:
            self._waiting.popleft()()


class _Entry(Struct, Generic[Item, Result], gc=False):
    item: Item
    future: asyncio.Future[Result]
    put_at: float
    due_at: float | None
    traced: object | None


class Coalescer(Generic[Item, Result]):
    """Groups items and answers each with its own result.

    Args:
        flush: sends a batch and answers one result or error an item, in order; an error that it raises is every item's.
        name: for messages.
        work: what a batch does, for traces.
        slots: batches under way at once.
        batch_max: items in one batch.
        queue_max: items waiting; one more is refused as Unavailable, as it is when the queue has been behind for long.
        gate: shared with other coalescers that work on the same cores.
        admit: called before an item is queued; raises where there is no point in it.
    """

    def __init__(
        self,
        flush: Callable[[list[Item]], Awaitable[Sequence[Result | Exception]]],
        *,
        name: str,
        work: str,
        slots: int,
        batch_max: int,
        queue_max: int,
        gate: Gate | None = None,
        admit: Callable[[], None] | None = None,
    ) -> None:
        self._flush = flush
        self._admit = admit
        self._backlog = Backlog()
        self._gate = gate
        self._name = name
        self._work = work
        self._slots_free = slots
        self._batch_max = batch_max
        self._queue_max = queue_max
        self._waiting: deque[_Entry[Item, Result]] = deque()
        self._pump_scheduled = False
        self._flushes: set[asyncio.Task[None]] = set()
        self._idle = asyncio.Event()
        self._idle.set()

    def put(self, item: Item) -> asyncio.Future[Result]:
        """Queue `item`; the future holds its result.

        Raises:
            Unavailable: too much is waiting, or what the items are for is away.
        """
        if self._admit is not None:
            self._admit()
        now = monotonic()
        waiting = self._waiting
        if len(waiting) >= self._queue_max or (waiting and self._backlog.is_over(now, waiting[0].put_at)):
            REFUSALS.of("overload").add()
            raise Unavailable(
                f"{self._name} has more work waiting than it can do; try again with the same submissionId.",
                RETRY_SHED_S,
            )
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Result] = loop.create_future()
        traced = None if tracing.tracer is None else tracing.tracer.here()
        waiting.append(_Entry(item, future, now, get_due_at(), traced))
        if self._slots_free and not self._pump_scheduled:
            # At the end of this tick of the loop, so that all that came in with it goes out together.
            self._pump_scheduled = True
            self._idle.clear()
            loop.call_soon(self._pump)
        return future

    @property
    def waiting(self) -> int:
        """How many items are queued and not yet under way."""
        return len(self._waiting)

    def refuse_waiting(self, error: Exception) -> None:
        """Answer all that is queued, and not under way, with `error`."""
        waiting, self._waiting = self._waiting, deque()
        self._backlog.is_empty()
        for entry in waiting:
            if not entry.future.done():
                entry.future.set_exception(error)

    async def drained(self) -> None:
        """Return once nothing is queued or under way."""
        await self._idle.wait()

    def _pump(self) -> None:
        self._pump_scheduled = False
        while self._slots_free and self._waiting:
            leave = _stay_on
            if self._gate is not None:
                entered = self._gate.enter(self._pump)
                if entered is None:
                    return
                leave = entered
            # What a caller no longer waits for (its deadline passed in the queue) is not sent at all.
            batch = [
                entry
                for entry in (self._waiting.popleft() for _ in range(min(len(self._waiting), self._batch_max)))
                if not entry.future.done()
            ]
            if batch:
                self._slots_free -= 1
                task = detached(self._run(batch, leave))
                self._flushes.add(task)
                task.add_done_callback(self._flushes.discard)
            else:
                leave()
        if not self._waiting:
            self._backlog.is_empty()
            if not self._flushes:
                self._idle.set()

    async def _run(self, batch: list[_Entry[Item, Result]], leave: Callable[[], None]) -> None:
        # As long as anybody waits for it.
        set_due_at(_latest(batch))
        try:
            with NOTHING if tracing.tracer is None else self._traced(tracing.tracer, batch):
                results = await self._flush([entry.item for entry in batch])
            if len(results) != len(batch):
                raise ValueError(f"{self._name}: {len(results)} answers to {len(batch)} items")
        except asyncio.CancelledError:
            for entry in batch:
                entry.future.cancel()
            raise
        except Exception as error:
            results = [error] * len(batch)
        finally:
            self._slots_free += 1
            leave()
            self._pump_after_flush()
        for entry, result in zip(batch, results, strict=True):
            future = entry.future
            if future.done():
                continue
            if isinstance(result, Exception):
                future.set_exception(result)
            else:
                future.set_result(result)

    def _traced(self, tracer: Tracer, batch: Sequence[_Entry[Item, Result]]) -> Work:
        attributes: Attributes = {"shardboard.part": self._name, "shardboard.batch.size": len(batch)}
        return tracer.batch(f"{self._work} batch", [entry.traced for entry in batch], attributes)

    def _pump_after_flush(self) -> None:
        current = asyncio.current_task()
        if current is not None:
            self._flushes.discard(current)
        self._pump()


def _latest(batch: Sequence[_Entry[Item, Result]]) -> float | None:
    """When the last of those who wait gives up; None where one never does."""
    latest = 0.0
    for entry in batch:
        if entry.due_at is None:
            return None
        latest = max(latest, entry.due_at)
    return latest


def _stay_on() -> None:
    """What a flush without a gate does at its end."""
