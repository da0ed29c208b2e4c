"""A background task for every shard that there is, while it is there."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine

from domain.tasks import end_tasks
from sharding.router import Router
from sharding.shard import Shard


class ShardWorkers:
    """Runs `work` for each of a router's shards: begins when one is added, ends when it is removed.

    Args:
        work: goes on for ever and raises nothing.
    """

    def __init__(self, router: Router, work: Callable[[Shard], Coroutine[None, None, None]]) -> None:
        self._router = router
        self._work = work
        self._tasks: dict[Shard, asyncio.Task[None]] = {}
        self._ending: set[asyncio.Task[None]] = set()
        self._unwatch: Callable[[], None] | None = None

    def start(self) -> None:
        """Begin with the shards that there are now."""
        self._unwatch = self._router.watch_shards(self._follow)
        self._follow()

    async def close(self) -> None:
        """End them all."""
        if self._unwatch is not None:
            self._unwatch()
            self._unwatch = None
        await end_tasks(self._tasks.values())
        await asyncio.gather(*self._ending)

    def _follow(self) -> None:
        present = set(self._router.shards.values())
        for shard in present - self._tasks.keys():
            self._tasks[shard] = asyncio.create_task(self._work(shard))
        for shard in self._tasks.keys() - present:
            ending = asyncio.create_task(end_tasks([self._tasks.pop(shard)]))
            self._ending.add(ending)
            ending.add_done_callback(self._ending.discard)
