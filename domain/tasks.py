"""What goes on beside the requests, and how it is ended for sure."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any

_PATIENCE_S = 0.2


async def end_tasks(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancel the tasks and return once all have ended, whatever they ended with.

    A cancellation can get lost: Python 3.11's `wait_for`, which drivers use, swallows one that arrives at the moment at
    which what it waits for is done (python/cpython#86296). So it is said again until it is heard.
    """
    waiting = set(tasks)
    while waiting:
        for task in waiting:
            task.cancel()
        ended, waiting = await asyncio.wait(waiting, timeout=_PATIENCE_S)
        for task in ended:
            if not task.cancelled():
                task.exception()  # looked at, so that asyncio does not complain of it


class Background(ABC):
    """One task that goes on from `start` to `close`."""

    _task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin, in the background."""
        self._task = asyncio.create_task(self._forever())

    async def close(self) -> None:
        """Stop, if it began."""
        if self._task is not None:
            await end_tasks([self._task])

    @abstractmethod
    async def _forever(self) -> None:
        """Go on until cancelled."""
