"""A deadline for each request, kept by one timer for all of them.

`asyncio.timeout` sets and cancels a timer of its own each time, which costs as much as all the rest of a read. All
requests are given the same time here, so they fall due in the order in which they came, and one look at the oldest
of them now and then is enough.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from time import monotonic
from typing import Any, TypeVar

from domain.errors import TookTooLong
from domain.resilience.deadline import set_due_at

T = TypeVar("T")

_LOOKS_WITHIN_LIMIT = 20


class Deadlines:
    """Ends what takes longer than `limit_s`, at most a twentieth of that later."""

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s
        self._due: dict[asyncio.Task[Any], float] = {}
        self._expired: set[asyncio.Task[Any]] = set()
        self._timer: asyncio.TimerHandle | None = None

    async def within(self, work: Awaitable[T]) -> T:
        """What `work` returns, if it does so in time. A task waits for one piece of work at a time.

        All that `work` calls knows the deadline, see `domain.resilience.deadline`.

        Raises:
            TookTooLong: it took too long and was cancelled.
        """
        task = asyncio.current_task()
        assert task is not None
        due_at = self._due[task] = monotonic() + self._limit_s
        set_due_at(due_at)
        if self._timer is None:
            self._look_later()
        try:
            return await work
        except asyncio.CancelledError:
            if task not in self._expired or task.cancelling() > 1:
                raise
            raise TookTooLong(
                f"The request took longer than {self._limit_s:g} s and was given up; "
                "what it wrote may have been recorded, so retry it with the same submissionId."
            ) from None
        finally:
            self._due.pop(task, None)
            if task in self._expired:
                self._expired.discard(task)
                task.uncancel()

    def _look_later(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(self._limit_s / _LOOKS_WITHIN_LIMIT, self._look)

    def _look(self) -> None:
        now = monotonic()
        for task, due in list(self._due.items()):
            if due > now:
                break
            del self._due[task]
            self._expired.add(task)
            task.cancel()
        self._timer = None
        if self._due:
            self._look_later()
