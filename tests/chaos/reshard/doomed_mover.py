"""A mover that is killed at one exact step: in a process of its own, by its own hand."""

from __future__ import annotations

import asyncio
import importlib
import multiprocessing
import os
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from db.directory import DirectoryEntry
from db.postgres import ConnectionLimits, Postgres
from infra.local.cluster_file import ShardUrls
from sharding.reshard.fleet import Fleet, locked_fleet
from sharding.reshard.mover import Mover

_SECONDS_MAX = 30.0

# Forked from a process that has imported everything: one that starts from nothing takes a second.
_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload([__name__])


@dataclass(frozen=True, slots=True)
class Point:
    """A step: the `nth` call of a function that a module of `sharding.reshard` has imported, or of its own.

    `before` it, `amid` (what it sent is on its way, and nobody hears the answer), or `after` it.
    """

    when: Literal["before", "amid", "after"]
    module: str
    function: str
    nth: int = 1

    def __str__(self) -> str:
        return f"{self.when} {self.function}{f' no. {self.nth}' if self.nth > 1 else ''}"


async def move_until_killed(shards: Sequence[ShardUrls], point: Point) -> int:
    """Carry out what the shards have records of, until the point; gives the exit code: −9, or 0 if it never came."""
    process = _CONTEXT.Process(target=_run, args=(shards, point), daemon=True)
    process.start()
    try:
        await asyncio.to_thread(process.join, _SECONDS_MAX)
        assert process.exitcode is not None, f"it does not end, nor come to {point}"
        return process.exitcode
    finally:
        process.kill()


def _run(shards: Sequence[ShardUrls], point: Point) -> None:
    module = importlib.import_module(f"sharding.reshard.{point.module}")
    setattr(module, point.function, _Deadly(getattr(module, point.function), point))
    asyncio.run(_move(shards))


async def _move(shards: Sequence[ShardUrls]) -> None:
    entries = {shard.name: DirectoryEntry(shard.name, shard.url, shard.direct_url) for shard in shards}
    direct = {name: Postgres(name, entry.direct_url, ConnectionLimits(lanes=6)) for name, entry in entries.items()}
    fleet = Fleet(entries, direct)
    async with locked_fleet(fleet, "test") as locks:
        await Mover(fleet, locks, lambda move, told: None).run()


class _Deadly:
    """Stands in for a function, and kills the process at the point."""

    def __init__(self, original: Callable[..., Any], point: Point) -> None:
        self._original = original
        self._point = point
        self._calls = 0

    async def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self._calls += 1
        if self._calls != self._point.nth:
            return await self._original(*args, **kwargs)
        if self._point.when != "before":
            task = asyncio.ensure_future(self._original(*args, **kwargs))
            if self._point.when == "after":
                await task
            else:
                # As many turns of the loop as it takes to send something over a connection that is open.
                for _ in range(20):
                    await asyncio.sleep(0)
        os.kill(os.getpid(), signal.SIGKILL)
        return None
