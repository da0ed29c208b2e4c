"""The watch over one board in one process: reads its top when it changed and shows it to all who watch."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from contextlib import suppress

from msgspec import Struct
from msgspec.structs import replace

from domain import tracing
from domain.board import PAGE_SIZE_MAX
from domain.errors import Unavailable
from domain.standing import Standing, Top
from domain.tasks import end_tasks
from ranking.projection import Projection
from ranking.signals import Signals
from ranking.store import RanksUnavailable
from service.sql_ranks import SqlRanks
from service.watcher import Watcher

logger = logging.getLogger(__name__)

READ_PAUSE_S = 0.115
"""From one state shown to the next read: 9 states at most in any second. With the one that a watcher had not taken yet
when the second began, or the one that greets a new watcher, it gets at most 10 messages in any second."""

SQL_PAUSE_S = 1.0
"""From one read without Redis to the next: every process asks every shard, and nobody tells of others' changes."""

BACKSTOP_S = 5.0
"""A board that nobody said has changed is looked at so often: the news may have been lost."""

OLDER_S_MAX = 10.0
"""For so long a state in which somebody has played fewer games than in the one before is taken for what it mostly is:
Redis lacks what it was not told or has lost, until the relay has mended it. After that it is the truth."""

_CANNOT_READ = "The board cannot be read; try again shortly."


class _State(Struct):
    """The newest state read: a top of up to `size` standings, of the board's `version` or a newer one."""

    top: Top
    size: int
    version: int


class BoardWatch:
    """Follows one board while somebody watches it."""

    def __init__(self, projection: Projection, sql_ranks: SqlRanks, signals: Signals) -> None:
        self._board = projection.keys.board
        self._projection = projection
        self._sql_ranks = sql_ranks
        self._signals = signals
        self._watchers: set[Watcher] = set()
        self._task: asyncio.Task[None] | None = None
        self._wake = asyncio.Event()
        self._state: _State | None = None
        # Whether Redis had no ranks when last asked.
        self._degraded = False
        # Why the shards had none either, when last asked.
        self._failure: str | None = None
        self._closed = False
        # When, by the monotonic clock, the shards may be asked again.
        self._sql_after = 0.0
        # Outlives the watchers: who comes back must not see the sequence go back.
        self._known = 0
        # Since when, by the monotonic clock, Redis has been telling an older state than the one that was shown.
        self._older_since: float | None = None

    def join(self, first: int) -> Watcher:
        """One more watcher; give it back with `leave`."""
        watcher = Watcher(first, self._signals.version(self._board))
        if self._closed:
            watcher.end()
            return watcher
        self._watchers.add(watcher)
        if self._task is None:
            self._task = asyncio.create_task(self._follow())
        if not self._show_to(watcher, {}):
            self._wake.set()
        return watcher

    async def leave(self, watcher: Watcher) -> None:
        """One watcher less; the last one ends all that ran for it."""
        self._watchers.discard(watcher)
        if not self._watchers:
            await self._stop()

    async def close(self) -> None:
        """End every watcher's iteration, of those to come too."""
        self._closed = True
        for watcher in self._watchers:
            watcher.end()
        self._watchers.clear()
        await self._stop()

    async def _stop(self) -> None:
        task, self._task = self._task, None
        self._state, self._degraded, self._failure = None, False, None
        if task is not None:
            await end_tasks([task])

    async def _follow(self) -> None:
        with self._signals.calling(self._board, self._wake.set):
            while True:
                self._wake.clear()
                with tracing.step("watch board", {"shardboard.board": self._board}):
                    await self._renew()
                self._show()
                await asyncio.sleep(READ_PAUSE_S)
                self._check_still_on()
                pause_s = max(0.0, self._sql_after - time.monotonic()) if self._degraded else BACKSTOP_S
                with suppress(TimeoutError):
                    async with asyncio.timeout(pause_s):
                        await self._wake.wait()

    def _check_still_on(self) -> None:
        """End a task that missed its cancellation (see domain/tasks.py): another one may follow the board by now."""
        if self._task is not asyncio.current_task():
            raise asyncio.CancelledError

    async def _renew(self) -> None:
        """Read the newest state, from Redis or, where that has none, from the shards."""
        version = self._signals.version(self._board)
        try:
            await self._read(version)
        except RanksUnavailable:
            pass
        except Exception:
            if not self._degraded:
                logger.exception("the top of board %s cannot be read from Redis", self._board)
        else:
            self._degraded, self._failure = False, None
            return
        self._check_still_on()
        self._degraded = True
        if time.monotonic() < self._sql_after:
            return
        try:
            await self._read_without_redis(version)
            self._failure = None
        except Unavailable as error:
            self._failure = str(error)
        except Exception:
            logger.exception("the top of board %s cannot be read from the shards", self._board)
            self._failure = _CANNOT_READ
        finally:
            self._sql_after = time.monotonic() + SQL_PAUSE_S
        self._check_still_on()

    async def _read(self, version: int) -> None:
        size = max((watcher.first for watcher in self._watchers), default=1)
        at_hand = not self._degraded and self._covers(size)
        top = await self._projection.top(size, self._known, at_hand=at_hand)
        self._check_still_on()
        if top is not None and self._is_older(top):
            self._wake.set()
        elif top is not None:
            self._keep(top, size, version)
        elif self._state is not None:
            self._state.version = version

    def _is_older(self, top: Top) -> bool:
        """Whether a state is to be passed over, because somebody's standing in it is older than what was shown."""
        shown = {} if self._state is None else {each.user_id: each.games_played for each in self._state.top.entries}
        if all(each.games_played >= shown.get(each.user_id, 0) for each in top.entries):
            self._older_since = None
            return False
        now = time.monotonic()
        self._older_since = self._older_since or now
        return now < self._older_since + OLDER_S_MAX

    async def _read_without_redis(self, version: int) -> None:
        # The largest size, so that a new watcher needs no read of its own.
        page = await self._sql_ranks.page(PAGE_SIZE_MAX, None)
        self._check_still_on()
        if self._state is not None and self._state.size == PAGE_SIZE_MAX and page.standings == self._state.top.entries:
            self._state.version = version
            return
        sequence = max(self._known + 1, time.time_ns() // 1_000)
        self._keep(Top(self._board, sequence, page.standings, page.as_of), PAGE_SIZE_MAX, version)

    def _keep(self, top: Top, size: int, version: int) -> None:
        """Take over a state that was read."""
        before: Sequence[Standing] = () if self._state is None else self._state.top.entries
        # What did not change stays the same object: every watcher's comparison is then one of pointers.
        kept = [old if old == new else new for old, new in zip(before, top.entries, strict=False)]
        entries = [*kept, *top.entries[len(kept) :]]
        self._known = max(self._known, top.sequence)
        self._state = _State(replace(top, entries=entries), size, version)

    def _show(self) -> None:
        cuts: dict[int, Top] = {}
        for watcher in self._watchers:
            if self._show_to(watcher, cuts):
                continue
            if self._failure is not None and not watcher.has_state:
                watcher.fail(self._failure)
            elif not self._degraded:
                self._wake.set()

    def _show_to(self, watcher: Watcher, cuts: dict[int, Top]) -> bool:
        """Show the newest state to a watcher; False where it is not good enough for it.

        Args:
            cuts: the state cut to what watchers show, by how many standings these are.
        """
        state = self._state
        if state is None or not self._covers(watcher.first):
            return False
        # The first state holds all that was written before the watcher came, so that who writes and then watches sees
        # the write. Later ones come as they are: a newer one follows by itself.
        if not (watcher.has_state or self._degraded or state.version >= watcher.since):
            return False
        cut = cuts.get(watcher.first)
        if cut is None:
            cut = cuts[watcher.first] = replace(state.top, entries=state.top.entries[: watcher.first])
        watcher.offer(cut)
        return True

    def _covers(self, first: int) -> bool:
        """Whether the state holds the `first` best standings, or all there are."""
        state = self._state
        return state is not None and (state.size >= first or len(state.top.entries) < state.size)
