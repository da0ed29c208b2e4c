"""Watch boards: one read of a board's top a change, shared by all who watch it in this process."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from ranking.projection import Projection
from ranking.signals import Signals
from service.board_watch import BoardWatch
from service.sql_ranks import SqlRanks
from service.watcher import Watcher


class Watches:
    """All watchers of one process. Nothing runs for a board that nobody watches."""

    def __init__(self, projection: Projection, sql_ranks: SqlRanks, signals: Signals) -> None:
        self._boards = {projection.keys.board: BoardWatch(projection, sql_ranks, signals)}

    @asynccontextmanager
    async def of(self, board: str, first: int) -> AsyncGenerator[Watcher, None]:
        """The `first` (1..100) best standings of a board that exists: an iterator of their states.

        At the end of the block everything that the iterator needed is gone.
        """
        watch = self._boards[board]
        watcher = watch.join(first)
        try:
            yield watcher
        finally:
            await watch.leave(watcher)

    async def close(self) -> None:
        """End every iterator, those begun later too."""
        for watch in self._boards.values():
            await watch.close()
