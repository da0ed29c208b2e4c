"""Watching a board as a client does, and remembering what was shown and when."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from itertools import pairwise

from domain.standing import Standing, Top
from service.board_watch import READ_PAUSE_S
from service.parts import Parts
from service.watch import watch_top
from tests.waiting import until


class Seen:
    """What one watcher was shown, in order, with the loop's time of each."""

    def __init__(self) -> None:
        self.tops: list[Top] = []
        self.times: list[float] = []
        self.task: asyncio.Task[None] | None = None

    @property
    def last(self) -> Top:
        return self.tops[-1]

    def shows(self, *users_and_totals: tuple[int, int]) -> bool:
        """Whether the newest state is exactly this, best first."""
        return bool(self.tops) and [(s.user_id, s.total_score) for s in self.last.entries] == list(users_and_totals)

    async def until_shows(self, *users_and_totals: tuple[int, int], seconds_max: float = 15.0) -> Top:
        await until(lambda: self.shows(*users_and_totals) or self.has_ended, seconds_max)
        assert self.shows(*users_and_totals)
        return self.last

    async def until_count(self, count: int, seconds_max: float = 15.0) -> Top:
        await until(lambda: len(self.tops) >= count or self.has_ended, seconds_max)
        return self.tops[count - 1]

    @property
    def has_ended(self) -> bool:
        return self.task is not None and self.task.done()

    def check(self) -> None:
        """What holds of every watch: numbers grow, nothing comes twice, never more than 10 in a second."""
        assert all(before.sequence < after.sequence for before, after in pairwise(self.tops))
        assert all(before.entries != after.entries for before, after in pairwise(self.tops))
        eleven = list(zip(self.times, self.times[10:], strict=False))
        assert all(last - first > 1.0 for first, last in eleven)

    def spacings(self) -> list[float]:
        return [after - before for before, after in pairwise(self.times)]


@asynccontextmanager
async def watching(parts: Parts, first: int = 10) -> AsyncIterator[Seen]:
    """A watcher who takes whatever comes; what it saw is checked at the end."""
    seen = Seen()

    async def watch() -> None:
        async with aclosing(watch_top(parts, "global", first)) as tops:
            async for top in tops:
                seen.times.append(asyncio.get_running_loop().time())
                seen.tops.append(top)

    seen.task = asyncio.create_task(watch())
    try:
        yield seen
    finally:
        seen.task.cancel()
        await asyncio.wait([seen.task])
    seen.check()


def agree(*watchers: Seen) -> bool:
    """Whether whoever was shown a number was shown the same standings under it."""
    told: dict[int, list[Standing]] = {}
    return all(
        told.setdefault(top.sequence, list(top.entries)) == list(top.entries) for seen in watchers for top in seen.tops
    )


def is_quiet(seen: Seen) -> bool:
    """Whether so much time passed since the last state that another read may come at once."""
    return bool(seen.times) and asyncio.get_running_loop().time() - seen.times[-1] > 2 * READ_PAUSE_S
