"""Ranks without Redis: counted by the shards, exact or None.

Counting costs as much as the rank is deep, so it stops at a bound, and only a few counts run at a time: a database that
is busy counting ranks records no scores.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import partial

from db.standings import count_better, count_players, read_before, read_page, read_rows
from domain.errors import Unavailable
from domain.ids import USER_ID_MIN
from domain.standing import Row, Standing, StandingPage
from domain.submission import SCORE_MAX
from ranking.projection import Place, rank_run, ranked
from sharding.router import Router

_COUNTS_AT_ONCE = 4

# Ahead of the best possible standing.
_TOP = (SCORE_MAX + 1, USER_ID_MIN)


class SqlRanks:
    """Counts ranks over all shards of one process's router, down to `depth_max`.

    Each bucket is counted on one shard, which owns it at that moment, so that ranks stay exact while buckets move.
    """

    def __init__(self, router: Router, depth_max: int) -> None:
        self._router = router
        self._depth_max = depth_max
        self._counts = asyncio.Semaphore(_COUNTS_AT_ONCE)

    @property
    def busy(self) -> bool:
        """Whether another count would have to wait."""
        return self._counts.locked()

    async def place(self, user_id: int, total: int) -> Place | None:
        """Where `total` of a player stands; None below the depth that is counted.

        Raises:
            Unavailable: a shard does not answer, or a bucket kept moving for too long.
        """
        async with self._counts:
            (better,), player_count = await asyncio.gather(self._better([total], [user_id]), self._players())
        return None if better is None else Place(better + 1, player_count)

    async def standings(self, user_ids: Sequence[int]) -> list[Standing | None]:
        """Several players' standings, in the order asked for.

        Raises:
            Unavailable: a shard does not answer, or a bucket kept moving for too long.
        """
        async with self._counts:
            found = await self._router.scatter_keys(user_ids, read_rows)
            rows = {user_id: row for user_id, row in found.items() if isinstance(row, Row)}
            for answer in found.values():
                if isinstance(answer, Unavailable):
                    raise answer
            betters, player_count = await asyncio.gather(
                self._better([row.total_score for row in rows.values()], [*rows]), self._players()
            )
        totals = [row.total_score for row in rows.values()]
        standings: dict[int, Standing] = {}
        for row, better in zip(rows.values(), betters, strict=True):
            ahead = None if better is None else better + sum(total > row.total_score for total in totals)
            rank = None if ahead is None or ahead >= self._depth_max else ahead + 1
            standings[row.user_id] = ranked(row, rank, player_count)
        return [standings.get(user_id) for user_id in user_ids]

    async def page(self, first: int, after: tuple[int, int] | None) -> StandingPage:
        """The `first` best standings behind the place `after`.

        What is behind a place may come from replicas, and is as of when they were fresh: counting down to there is the
        dearest of all reads. The top is the primaries' to tell.

        Raises:
            Unavailable: a shard does not answer, or a bucket kept moving for too long.
        """
        deep = after is not None
        as_of = datetime.now(UTC) - timedelta(seconds=self._router.staleness_s if deep else 0)
        async with self._counts:
            # One more than asked for tells whether there is a next page.
            runs, player_count = await asyncio.gather(
                self._router.scatter_owned(
                    partial(read_page, after=after or _TOP, limit=first + 1), from_replicas=deep
                ),
                self._players(from_replicas=deep),
            )
            rows = list(heapq.merge(*runs, key=_order))
            # Counting what is better than the best might find who came since, and give it rank 2.
            best = rank_run(rows[:first], 0, 0, player_count) if after is None else None
            standings = await self._ranked_run(rows[:first], player_count, from_replicas=deep) if best is None else best
        return StandingPage(standings, int(deep), player_count, len(rows) > first, as_of if deep else datetime.now(UTC))

    async def around(self, user_id: int, radius: int) -> list[Standing] | None:
        """The player's standing with up to `radius` on both sides; None where the player has none.

        Raises:
            Unavailable: a shard does not answer, or a bucket kept moving for too long.
        """
        async with self._counts:
            own = (await self._router.scatter_keys([user_id], read_rows)).get(user_id)
            if isinstance(own, Unavailable):
                raise own
            if own is None:
                return None
            place = (own.total_score, own.user_id)
            before, behind, player_count = await asyncio.gather(
                self._router.scatter_owned(partial(read_before, before=place, limit=radius)),
                self._router.scatter_owned(partial(read_page, after=place, limit=radius)),
                self._players(),
            )
            nearest_first = sorted((row for run in before for row in run), key=_order, reverse=True)[:radius]
            rows = [*reversed(nearest_first), own, *list(heapq.merge(*behind, key=_order))[:radius]]
            # Who played between two of these reads may have been found twice.
            once = {row.user_id: row for row in (*rows, own)}
            return await self._ranked_run([row for row in rows if row is once[row.user_id]], player_count)

    async def _ranked_run(
        self, rows: Sequence[Row], player_count: int, *, from_replicas: bool = False
    ) -> list[Standing]:
        """Rows in board order with their ranks; those before them are counted."""
        if not rows:
            return []
        # What is better than the first row, and than the first with another total: how many of the first one's equals
        # stand before it makes no difference to itself, but to all behind it.
        totals = list(dict.fromkeys(row.total_score for row in rows))[:2]
        better, *betters = await self._better(totals, [row.user_id for row in rows], from_replicas=from_replicas)
        if better is None or None in betters:
            return [ranked(row, None, player_count) for row in rows]
        return rank_run(rows, better, betters[0] or 0 if betters else better, player_count)

    async def _better(
        self, totals: Sequence[int], but: Sequence[int], *, from_replicas: bool = False
    ) -> list[int | None]:
        """For each total how many players have a better one; None below the depth that is counted.

        Args:
            but: those whose totals are known already. They are left out, as they may play before they are counted: each
                player is looked at once, and so no rank is one that nobody ever had.
        """
        if not totals:
            return []
        counts = await self._router.scatter_owned(
            partial(count_better, totals=totals, depth_max=self._depth_max, but=but), from_replicas=from_replicas
        )
        sums = [sum(column) for column in zip(*counts, strict=True)]
        return [better if better < self._depth_max else None for better in sums]

    async def _players(self, *, from_replicas: bool = False) -> int:
        return sum(await self._router.scatter_owned(count_players, from_replicas=from_replicas))


def _order(row: Row) -> tuple[int, int]:
    return (-row.total_score, row.user_id)
