"""How far the ranks are behind a shard, as the process sees it that looks after that shard."""

from __future__ import annotations

import time
from typing import NamedTuple

from db.postgres import Postgres
from db.standings import count_changed
from domain.errors import ShardboardError
from domain.metrics.catalogue import RELAY_LAG_ROWS, RELAY_LAG_SECONDS

# A shard is asked at most so often, and counts no further.
_COUNT_INTERVAL_S = 5.0
_COUNT_MAX = 100_000


class Caught(NamedTuple):
    """How many rows a pass mended; the mark up to which the ranks are whole then, None where it was not ended."""

    rows: int
    mark: int | None


class RelayLag:
    """Tells the metrics; says nothing while another process looks after the shard."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres
        self._rows = RELAY_LAG_ROWS.of(postgres.name)
        self._seconds = RELAY_LAG_SECONDS.of(postgres.name)
        self._mark: int | None = None
        self._whole_at: float | None = None
        self._count_after = 0.0

    def looked(self, caught: Caught) -> None:
        """A look at the shard ended."""
        now = time.monotonic()
        self._rows.set(caught.rows)
        if caught.mark is not None or self._whole_at is None:
            self._mark, self._whole_at = caught.mark, now
        self._seconds.set(now - self._whole_at)

    async def not_whole(self) -> None:
        """A look failed, or the ranks are not there: what the shard changed since is what they may lack."""
        now = time.monotonic()
        if self._whole_at is None:
            return
        self._seconds.set(now - self._whole_at)
        if self._mark is not None and now >= self._count_after:
            self._count_after = now + _COUNT_INTERVAL_S
            try:
                self._rows.set(await count_changed(self._postgres, self._mark, _COUNT_MAX))
            except ShardboardError:
                self._rows.clear()

    def unknown(self) -> None:
        """Another process looks after the shard now."""
        self._mark = self._whole_at = None
        self._rows.clear()
        self._seconds.clear()
