"""All clients of a fault run at work."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from random import Random
from typing import Any

from tests.chaos.players import WRITERS, Game, Writer
from tests.chaos.readers import READERS, Reader

PLAYERS = 400
THINK_S = 0.18
# Time for what is under way when the writers are told to stop.
_STOP_S_MAX = 90.0


@asynccontextmanager
async def background(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Something that goes on for as long as the block lasts, and must not end before."""
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        (ended,) = await asyncio.gather(task, return_exceptions=True)
        if not isinstance(ended, asyncio.CancelledError):
            raise AssertionError("it ended by itself") from ended


@asynccontextmanager
async def traffic(game: Game, random: Random) -> AsyncIterator[None]:
    """Writers and readers at work while the block lasts; what is under way at its end is sent until it is answered."""
    stop = asyncio.Event()
    tasks = [asyncio.create_task(Writer(game, Random(random.random())).play(stop)) for _ in range(WRITERS)]
    tasks += [asyncio.create_task(Reader(game, Random(random.random())).read(stop)) for _ in range(READERS)]
    try:
        yield
    finally:
        stop.set()
        async with asyncio.timeout(_STOP_S_MAX):
            await asyncio.gather(*tasks)
